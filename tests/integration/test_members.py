"""Members: who may change whom, that an owner always remains, and what ends when somebody is put out."""

import asyncio
from itertools import product

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import Links
from gptagent.features.identity.service import hash_token
from gptagent.features.identity.tokens import AccessClaims
from gptagent.features.organizations import service
from gptagent.features.organizations.model import API_KEY_PREFIX, ROLES
from gptagent.features.organizations.policy import may_change
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from gptagent.kernel.ids import new_id, new_token
from isolation.estate import insert
from members import add_member

LINKS = Links("https://agents.example.test", sends_letters=False)


async def do(database, scope, verb, *args, **options):
    async with database.session(scope) as session:
        return await verb(session, *args, **options)


async def roles_of(database, scope):
    return {one.person_id: (one.role, one.status) for one in await do(database, scope, service.list_members)}


async def actions(database, scope):
    async with database.session(scope) as session:
        return [entry.action for entry in await audit.list_entries(session)]


@pytest.mark.parametrize(("actor", "target", "wanted"), [*product(ROLES, repeat=3)])
async def test_a_role_changes_whom_it_may_and_to_what_it_may(database, scope, actor, target, wanted):
    """TEN-4, TEN-5: all pairs of roles, each with every role to be given."""
    who = await add_member(database, scope, actor)
    whom = (await add_member(database, scope, target)).actor.id
    is_allowed = actor == "owner" or (actor == "admin" and "owner" not in {target, wanted})
    assert may_change(actor, target, wanted) == is_allowed
    if is_allowed:
        await do(database, who, service.change_role, whom, wanted)
    else:
        with pytest.raises(Forbidden):
            await do(database, who, service.change_role, whom, wanted)
    assert (await roles_of(database, scope))[whom] == (wanted if is_allowed else target, "active")


@pytest.mark.parametrize(("actor", "target"), [*product(ROLES, repeat=2)])
async def test_a_role_puts_out_whom_it_may(database, scope, actor, target):
    """TEN-5, TEN-6"""
    who = await add_member(database, scope, actor)
    whom = (await add_member(database, scope, target)).actor.id
    verbs = (service.suspend_member, service.resume_member, service.remove_member)
    for verb in verbs:
        if actor == "owner" or (actor == "admin" and target != "owner"):
            await do(database, who, verb, whom)
        else:
            with pytest.raises(Forbidden):
                await do(database, who, verb, whom)
    assert (whom in await roles_of(database, scope)) == (not may_change(actor, target))


VERBS = {
    "demote": (service.change_role, "admin"),
    "remove": (service.remove_member,),
    "suspend": (service.suspend_member,),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_the_last_owner_stays_an_owner(database, scope, verb):
    """TEN-5"""
    call, *args = VERBS[verb]
    with pytest.raises(Conflict):
        await do(database, scope, call, scope.actor.id, *args)
    with pytest.raises(Conflict, match="last_owner"):
        await do(database, scope, service.leave_workspace)
    assert (await roles_of(database, scope))[scope.actor.id] == ("owner", "active")


async def test_a_suspended_owner_does_not_count_as_the_one_who_remains(database, scope):
    other = await add_member(database, scope, "owner")
    await do(database, scope, service.suspend_member, other.actor.id)
    with pytest.raises(Conflict, match="last_owner"):
        await do(database, scope, service.leave_workspace)


@pytest.mark.parametrize("verb", [*VERBS, "leave"])
async def test_two_owners_who_act_on_each_other_at_once_leave_one(database, scope, verb):
    """TEN-5: twenty times, both transactions begun before either acts."""
    for _ in range(20):
        other = await add_member(database, scope, "owner")
        pair = ((scope, other), (other, scope))
        call, *args = VERBS.get(verb, (None,))
        both = asyncio.Barrier(2)

        async def act(who, whom, call=call, args=args, both=both):
            async with database.session(who) as session:
                await session.fetchval("select 1")
                await both.wait()
                if call is None:
                    await service.leave_workspace(session)
                else:
                    await call(session, whom.actor.id, *args)

        ended = await asyncio.gather(*(act(*one) for one in pair), return_exceptions=True)
        assert sum(isinstance(one, Conflict | Forbidden | NotFound) for one in ended) == 1, ended
        after = await roles_of(database, scope)
        owners = [who for who in (scope, other) if after.get(who.actor.id) == ("owner", "active")]
        assert len(owners) == 1
        scope = owners[0]


async def test_ownership_can_be_handed_over(database, scope):
    """TEN-5"""
    bob = await add_member(database, scope, "member")
    await do(database, scope, service.change_role, bob.actor.id, "owner")
    await do(database, scope, service.leave_workspace)
    assert await roles_of(database, bob) == {bob.actor.id: ("owner", "active")}
    assert (await actions(database, bob))[:3] == [
        "member.left",
        "workspace.owner_added",
        "member.role_changed",
    ]


async def test_an_unknown_role_is_refused(database, scope):
    bob = await add_member(database, scope, "member")
    with pytest.raises(Invalid):
        await do(database, scope, service.change_role, bob.actor.id, "god")


async def test_whoever_lost_the_right_a_moment_ago_changes_nothing_more(database, scope):
    """The scope of a request that began before says otherwise."""
    bob, dora = await add_member(database, scope, "admin"), await add_member(database, scope, "viewer")
    await do(database, scope, service.suspend_member, bob.actor.id)
    with pytest.raises(Forbidden):
        await do(database, bob, service.change_role, dora.actor.id, "admin")


async def api_key_of(database, scope, person_id):
    key = API_KEY_PREFIX + new_token()
    ends = {"key_start": key[:12], "key_end": key[-3:], "created_by": person_id, "scopes": ["view"]}
    async with database.session(scope) as session:
        await insert(session, "api_key", id=new_id(), name="k", key_hash=hash_token(key), **ends)
    return key


PUT_OUT = {
    "suspended": (service.suspend_member,),
    "removed": (service.remove_member,),
    "demoted": (service.change_role, "member"),
}


@pytest.mark.parametrize("way", PUT_OUT)
async def test_keys_and_links_a_person_may_have_kept_end_with_their_rights(database, scope, way):
    """TEN-6: those of others stay, for a key belongs to the workspace."""
    bob = await add_member(database, scope, "admin")
    keys = [await api_key_of(database, scope, who.actor.id) for who in (bob, scope)]
    offers = [await do(database, who, service.invite, None, "admin", links=LINKS) for who in (bob, scope)]
    call, *args = PUT_OUT[way]
    await do(database, scope, call, bob.actor.id, *args)
    async with database.installation() as session:
        found = [await service.find_api_key(session, key) for key in keys]
    assert [one is not None for one in found] == [False, True]
    listed = [one.id for one in await do(database, scope, service.list_invitations)]
    assert listed == [offers[1].invitation.id]


@pytest.mark.parametrize("way", ["suspended", "removed"])
async def test_a_log_in_over_the_api_ends_in_this_workspace_only(database, scope, other_scope, way):
    """TEN-6"""
    bob = await add_member(database, scope, "member")
    async with database.session(other_scope) as session:
        await session.execute("insert into app.member (person_id, role) values ($1, 'member')", bob.actor.id)
    grants = {}
    for where in (scope, other_scope):
        async with database.installation(bob.actor.id) as session:
            grants[where.org_id], _ = await identity.open_grant(session, bob.actor.id, where.org_id)
            token, _ends = await identity.open_session(
                session, bob.actor.id, remember=False, now=(await session.fetchval("select now()"))
            )
    await do(database, scope, PUT_OUT[way][0], bob.actor.id)
    async with database.installation() as session:
        claims = {org: AccessClaims(bob.actor.id, org, grant) for org, grant in grants.items()}
        live = {org: await identity.grant_strength(session, one) is not None for org, one in claims.items()}
        entered = [one.org_id for one in await service.list_workspaces(session, bob.actor.id)]
        assert await identity.find_session(session, token) is not None
    assert live == {scope.org_id: False, other_scope.org_id: True}
    assert entered == [other_scope.org_id]


async def test_every_change_of_a_member_is_recorded(database, scope):
    """TEN-10"""
    bob = await add_member(database, scope, "member")
    for verb, *args in (
        (service.change_role, "viewer"),
        (service.suspend_member,),
        (service.resume_member,),
        (service.remove_member,),
    ):
        await do(database, scope, verb, bob.actor.id, *args)
    assert (await actions(database, scope))[:4] == [
        "member.removed",
        "member.resumed",
        "member.suspended",
        "member.role_changed",
    ]
    async with database.session(scope) as session:
        first = (await audit.list_entries(session))[3]
    assert first.changes == {"role": ("member", "viewer")} and first.target_id == str(bob.actor.id)
