"""Guessing passwords is limited per address and per account, whatever becomes of Redis."""

import pytest

from gptagent.features.identity.limits import LoginLimits
from gptagent.kernel.errors import RateLimited

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
