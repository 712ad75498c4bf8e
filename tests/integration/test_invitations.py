"""Invitations: for whom, how often, how long, and that they tell nobody anything."""

import asyncio

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import Links
from gptagent.features.identity.service import NewPerson
from gptagent.features.organizations import service
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Origin
from members import PASSWORD, add_member

LINKS = Links("https://agents.example.test", sends_letters=False)
BY_LETTER = Links("https://agents.example.test", sends_letters=True)


def token_of(made):
    return made.link.rpartition("/")[2]


async def invite(database, scope, email=None, role="member", links=LINKS):
    async with database.session(scope) as session:
        return await service.invite(session, email, role, links=links)


async def confirm_address(database, scope):
    """Let the person have followed the link in our letter."""
    async with database.session(scope) as session:
        await session.execute("update app.person set email_verified_at = now() where id = $1", scope.actor.id)


async def accept(database, made, scope):
    return await service.accept_invitation(database, token_of(made), Origin(scope.actor))


def newcomer(email=""):
    return NewPerson(email, "Eve", PASSWORD, "en", family_name="Newcomer")


@pytest.fixture
async def eve(database, other_scope):
    """Somebody with an account and a workspace elsewhere."""
    async with database.session(other_scope) as session:
        email = await session.fetchval("select email from app.person where id = $1", other_scope.actor.id)
    return other_scope, email


async def test_a_link_lets_one_person_in_once(database, scope, eve):
    """TEN-5"""
    made = await invite(database, scope, role="viewer")
    assert made.link.startswith("https://agents.example.test/invitation/")
    joined = await accept(database, made, eve[0])
    assert (joined.org_id, joined.role) == (scope.org_id, "viewer")
    late = await add_member(database, eve[0], "member")
    with pytest.raises(NotFound):
        await accept(database, made, late)


async def test_of_two_who_open_a_link_at_once_one_comes_in(database, scope, other_scope):
    made = await invite(database, scope)
    people = [await add_member(database, other_scope, "member") for _ in range(4)]
    ended = await asyncio.gather(*(accept(database, made, one) for one in people), return_exceptions=True)
    assert sum(isinstance(one, NotFound) for one in ended) == 3
    async with database.session(scope) as session:
        assert len(await service.list_members(session)) == 2


async def test_an_invitation_to_an_address_is_for_its_account_only(database, scope, eve):
    """TEN-5: compared without regard to case and spaces; a refused try does not use it up."""
    made = await invite(database, scope, f"  {eve[1].upper()} ")
    stranger = await add_member(database, eve[0], "member")
    with pytest.raises(Forbidden) as refused:
        await accept(database, made, stranger)
    assert eve[1] not in refused.value.message
    assert (await accept(database, made, eve[0])).org_id == scope.org_id


async def test_known_and_unknown_addresses_are_invited_alike(database, scope, eve):
    known = await invite(database, scope, eve[1])
    unknown = await invite(database, scope, f"{new_id().hex}@example.test")
    assert known.invitation.role == unknown.invitation.role
    assert len(known.link) == len(unknown.link)


async def test_a_member_needs_no_invitation(database, scope):
    bob = await add_member(database, scope, "member", email=f"{new_id().hex}@example.test")
    async with database.session(bob) as session:
        email = await session.fetchval("select email from app.person where id = $1", bob.actor.id)
    with pytest.raises(Conflict, match="already_member"):
        await invite(database, scope, email)
    with pytest.raises(Conflict, match="already_member"):
        await accept(database, await invite(database, scope), bob)


async def test_a_suspended_member_does_not_come_back_by_a_link(database, scope):
    """TEN-6"""
    bob, made = await add_member(database, scope, "member"), await invite(database, scope)
    async with database.session(scope) as session:
        await service.suspend_member(session, bob.actor.id)
    with pytest.raises(Conflict, match="member_suspended"):
        await accept(database, made, bob)


async def end(database, scope, made, way):
    async with database.session(scope) as session:
        if way == "revoked":
            await service.revoke_invitation(session, made.invitation.id)
        elif way == "resent":
            await service.resend_invitation(session, made.invitation.id, links=LINKS)
        elif way == "replaced":
            await service.invite(session, made.invitation.email, "viewer", links=LINKS)
        elif way == "expired":
            await session.execute("update app.invitation set expires_at = now() - interval '1 s'")
        elif way == "suspended":
            await session.execute("update app.organization set suspended_at = now()")


@pytest.mark.parametrize("way", ["revoked", "resent", "replaced", "expired", "suspended"])
async def test_a_link_that_ended_is_as_unknown_as_one_of_nobody(database, scope, eve, way):
    """TEN-5"""
    made = await invite(database, scope, eve[1])
    await end(database, scope, made, way)
    with pytest.raises(NotFound) as ended:
        await accept(database, made, eve[0])
    with pytest.raises(NotFound) as unknown:
        await service.accept_invitation(database, "nobodys", Origin(eve[0].actor))
    assert (ended.value.code, ended.value.message) == (unknown.value.code, unknown.value.message)


async def test_the_token_is_stored_as_a_hash_only(database, scope):
    made = await invite(database, scope)
    async with database.session(scope) as session:
        rows = await session.fetchval("select string_agg(i::text, '') from app.invitation i")
    assert token_of(made) not in rows and token_of(made).encode().hex() not in rows


@pytest.mark.parametrize(("email", "role"), [("not an address", "member"), (None, "owner"), (None, "god")])
async def test_nobody_is_invited_to_own_and_no_nonsense_is_kept(database, scope, email, role):
    with pytest.raises(Invalid):
        await invite(database, scope, email, role)


async def is_confirmed(database, person_id):
    async with database.installation(person_id) as session:
        row = await session.fetchrow(
            "select email, email_verified_at from app.person where id = $1", person_id
        )
    return row["email"], row["email_verified_at"] is not None


@pytest.mark.parametrize(("links", "confirmed"), [(LINKS, False), (BY_LETTER, True)])
async def test_a_newcomer_has_the_invited_address_and_it_is_proved_by_a_letter_only(
    database, scope, links, confirmed, monkeypatch
):
    """TEN-5: whoever saw the link on a screen could have opened it as well."""
    email, tokens = f"{new_id().hex}@example.test", []
    link = Links.to
    monkeypatch.setattr(Links, "to", lambda *given: tokens.append(given[2]) or link(*given))
    await confirm_address(database, scope)
    made = await invite(database, scope, email, links=links)
    assert (made.link is None) == confirmed
    person_id, joined = await service.accept_as_newcomer(
        database, tokens[0], newcomer("someone@else.test"), Origin(), links
    )
    assert joined.org_id == scope.org_id
    assert await is_confirmed(database, person_id) == (email, confirmed)


async def test_a_newcomer_by_link_names_an_address_that_nobody_has(database, scope, eve):
    made = await invite(database, scope)
    with pytest.raises(Conflict, match="email_taken"):
        await service.accept_as_newcomer(database, token_of(made), newcomer(eve[1]), Origin(), LINKS)
    with pytest.raises(Invalid):
        await service.accept_as_newcomer(database, token_of(made), newcomer(), Origin(), LINKS)
    fresh = newcomer(f"{new_id().hex}@example.test")
    person_id, _joined = await service.accept_as_newcomer(database, token_of(made), fresh, Origin(), LINKS)
    assert await is_confirmed(database, person_id) == (fresh.email, False)


async def test_every_step_of_an_invitation_is_recorded_without_its_address(database, scope, eve):
    """TEN-10"""
    made = await invite(database, scope, eve[1])
    async with database.session(scope) as session:
        made = await service.resend_invitation(session, made.invitation.id, links=LINKS)
    await accept(database, made, eve[0])
    other = await invite(database, scope)
    await end(database, scope, other, "revoked")
    async with database.session(scope) as session:
        entries = await audit.list_entries(session)
    assert [one.action for one in entries][:5] == [
        "invitation.revoked",
        "invitation.created",
        "invitation.accepted",
        "invitation.resent",
        "invitation.created",
    ]
    assert eve[1] not in str(entries)


async def test_whoever_has_not_confirmed_their_own_address_sends_no_letters(database, scope):
    """Else a stranger's address, typed at registration, would speak to others in our name."""
    with pytest.raises(Forbidden) as refused:
        await invite(database, scope, "friend@example.test", links=BY_LETTER)
    assert refused.value.code == "email_not_verified"
    await confirm_address(database, scope)
    assert (await invite(database, scope, "friend@example.test", links=BY_LETTER)).link is None


async def test_letters_of_invitations_are_counted_links_are_not(database, scope):
    """Also when Redis is down: this process counts for itself."""
    await confirm_address(database, scope)
    post = service.Post(BY_LETTER, LoginLimits.build("redis://:word@127.0.0.1:1/0"))
    made = await service.send_invitation(database, scope, "eve@example.test", "member", post)
    for _letter in range(4):
        await service.send_invitation_again(database, scope, made.invitation.id, post)
    with pytest.raises(RateLimited, match="too_many_letters"):
        await service.send_invitation_again(database, scope, made.invitation.id, post)
    with pytest.raises(RateLimited, match="too_many_letters"):
        await service.send_invitation(database, scope, " Eve@Example.TEST ", "viewer", post)
    by_hand = service.Post(LINKS, post.limits)
    assert (await service.send_invitation_again(database, scope, made.invitation.id, by_hand)).link
    assert (await service.send_invitation(database, scope, None, "viewer", post)).link
