"""Guessing passwords is limited per address and per account, whatever becomes of Redis."""

import pytest

from gptagent.features.identity.limits import LoginLimits
from gptagent.kernel.errors import RateLimited
from gptagent.kernel.ids import new_id

NOBODY_LISTENS = "redis://:word@127.0.0.1:1/0"
TRIES = 10


async def last_is_refused(limits, tries):
    """Make these (address, account) tries, of which only the last may be refused."""
    for address, email in tries[:-1]:
        await limits.check(address, email)
    with pytest.raises(RateLimited) as refused:
        await limits.check(*tries[-1])
    return refused.value.code == "too_many_logins" and refused.value.retry_after > 0


@pytest.fixture(params=[None, NOBODY_LISTENS], ids=["memory", "redis gone"])
def limits(request):
    return LoginLimits.build(request.param)


async def test_one_address_gets_ten_tries_a_minute_over_all_accounts(limits):
    """AUTH-12"""
    tries = [("192.0.2.1", f"{n}@example.test") for n in range(TRIES + 1)]
    assert await last_is_refused(limits, tries)
    await limits.check("192.0.2.2", "0@example.test")


async def test_one_account_gets_ten_tries_from_all_addresses(limits):
    """AUTH-12"""
    tries = [(f"192.0.2.{n}", "anna@example.test") for n in range(TRIES + 1)]
    assert await last_is_refused(limits, tries)
    await limits.check("192.0.2.200", "boris@example.test")


async def test_other_spellings_of_an_address_count_for_the_same_account(limits):
    """AUTH-5"""
    spellings = ("anna@example.test", " Anna@Example.TEST ")
    assert await last_is_refused(limits, [(f"192.0.2.{n}", spellings[n % 2]) for n in range(TRIES + 1)])


async def sent_before_refusal(limits, letters):
    """Count letters to (recipient, workspace) until one is refused; return how many were not."""
    for number, letter in enumerate(letters):
        try:
            await limits.check_recipient(*letter)
        except RateLimited as refused:
            return number, refused.code
    return len(letters), ""


async def test_nobody_gets_more_than_five_letters_an_hour_from_all_workspaces(limits):
    letters = [(("anna@example.test", " Anna@Example.TEST ")[n % 2], new_id()) for n in range(7)]
    assert await sent_before_refusal(limits, letters) == (5, "too_many_letters")
    await limits.check_recipient("boris@example.test", new_id())


async def test_a_workspace_sends_no_more_than_sixty_letters_an_hour(limits):
    org_id = new_id()
    letters = [(f"{n}@example.test", org_id) for n in range(62)]
    assert await sent_before_refusal(limits, letters) == (60, "too_many_letters")
    await limits.check_recipient("anna@example.test", new_id())
