"""Signing in by OpenID Connect: against a real provider, and against one that lies."""

import base64
import hmac
import json
import shutil
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from gptagent.adapters.oidc.port import OidcOverEgress
from gptagent.entrypoints.demo.ports import free_port
from gptagent.features.identity import service as identity
from gptagent.features.organizations import service as organizations
from gptagent.features.sign_in import providers
from gptagent.features.sign_in.model import ProviderData
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Forbidden, Invalid
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import PLATFORM_ID, Actor, Scope
from integration.conftest import serving_here
from integration.test_pages_account import enrol
from members import add_member, number_of
from oidc_providers import CLIENT_ID, CLIENT_SECRET, log_in_at, real_provider, rogue_provider
from readers import elsewhere, reader_of, stranger_at, texts

BASE = f"http://localhost:{free_port()}"
CALLBACK = f"{BASE}/sign-in/callback"


def allowed(issuer):
    return f"127.0.0.1:{urlsplit(issuer).port}"


@pytest.fixture(scope="module")
def issuer():
    if shutil.which("npm") is None:
        pytest.skip("npm is not here")
    with real_provider(CALLBACK) as issuer:
        yield issuer


@pytest.fixture(scope="module")
async def rogue():
    async with rogue_provider() as rogue:
        yield rogue


@pytest.fixture(scope="module")
async def site(home, roles, issuer, rogue):
    """The platform with the real provider for everybody; it may call both providers."""
    settings = {"oidc_issuer": issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}
    pairs = f"{allowed(issuer)},{allowed(rogue.issuer)}"
    async with serving_here(
        home, **settings, oidc_name="Wonder ID", public_url=BASE, registration="open", egress_allow=pairs
    ) as url:
        yield url


@pytest.fixture
async def visitor(site):
    async with stranger_at(site) as reader:
        reader.http.headers.update(elsewhere())
        yield reader


@pytest.fixture
def lying(rogue):
    """The other provider, as honest as it begins."""
    rogue.changes, rogue.token, rogue.signing_key = {}, "", None
    return rogue


@pytest.fixture
async def egress(issuer, rogue):
    pairs = {("127.0.0.1", urlsplit(one).port) for one in (issuer, rogue.issuer)}
    egress = Egress(frozenset(pairs))
    yield egress
    await egress.aclose()


async def provide(database, scope, egress, issuer, role=None):
    """Give the workspace a provider of its own and return its id."""
    data = ProviderData("Own ID", issuer, CLIENT_ID, CLIENT_SECRET, role)
    return (await providers.add_provider(database, scope, OidcOverEgress(egress), data)).id


async def begin(reader, provider_id):
    answer = await reader.http.get(f"/sign-in/{provider_id}")
    assert answer.status_code == 303, texts(answer)
    return answer.headers["location"]


async def sign_in(reader, provider_id, name):
    """Go through the real provider and come back."""
    back = await log_in_at(await begin(reader, provider_id), name, CALLBACK)
    return await reader.http.get(back.removeprefix(BASE))


async def sign_in_lying(reader, lying, provider_id):
    state = lying.remember(await begin(reader, provider_id))
    return await reader.http.get("/sign-in/callback", params={"state": state, "code": "any"})


async def button(reader):
    page = await reader.http.get("/login")
    assert "Continue with Wonder ID" in texts(page)
    return page.text.partition('href="/sign-in/')[2].partition('"')[0]


async def workspaces_of(database, email):
    async with database.installation() as session:
        person_id = await identity.find_person(session, email)
        return person_id, await organizations.list_workspaces(session, person_id) if person_id else []


def name():
    return new_id().hex


async def test_somebody_new_gets_an_account_by_the_installations_provider(visitor, database):
    who = name()
    answer = await sign_in(visitor, await button(visitor), who)
    assert answer.headers["location"] == "/manage"
    person_id, workspaces = await workspaces_of(database, f"{who}@example.test")
    assert [one.role for one in workspaces] == ["owner"]
    async with database.installation(person_id) as session:
        person = await identity.get_person(session, person_id)
    assert person.is_verified and (person.given_name, person.family_name) == ("Of", who)
    dashboard = await visitor.follow(await visitor.follow(answer))
    assert dashboard.status_code == 200


async def test_the_same_subject_is_the_same_person(site, visitor, database):
    who = name()
    provider_id = await button(visitor)
    await sign_in(visitor, provider_id, who)
    before = await workspaces_of(database, f"{who}@example.test")
    async with stranger_at(site) as again:
        assert (await sign_in(again, provider_id, who)).headers["location"] == "/manage"
    assert await workspaces_of(database, f"{who}@example.test") == before


async def test_the_installations_provider_stands_for_the_password_only(site, visitor, database):
    """AUTH-17: a second step that is set is asked for, however the first one was done."""
    who = name()
    provider_id = await button(visitor)
    await sign_in(visitor, provider_id, who)
    person_id, (workspace,) = await workspaces_of(database, f"{who}@example.test")
    await enrol(database, Scope(workspace.org_id, Actor("person", person_id)))
    async with stranger_at(site) as again:
        answer = await sign_in(again, provider_id, who)
        assert answer.headers["location"] == "/login/code"
        assert "session" not in again.http.cookies


async def test_an_address_the_provider_does_not_vouch_for_opens_nothing(visitor, database):
    who = f"unsure{name()}"
    answer = await sign_in(visitor, await button(visitor), who)
    assert answer.status_code == 403 and "does not vouch" in texts(answer)
    assert (await workspaces_of(database, f"{who}@example.test"))[0] is None


@pytest.mark.parametrize("verified", [True, False])
async def test_an_account_is_found_by_an_address_confirmed_on_both_sides_only(
    visitor, database, scope, verified
):
    who = name()
    member = await add_member(database, scope, "member", email=f"{who}@example.test")
    if verified:
        async with database.installation(member.actor.id) as session:
            await session.execute(
                "update app.person set email_verified_at = now() where id = $1", member.actor.id
            )
    answer = await sign_in(visitor, await button(visitor), who)
    assert answer.status_code == (303 if verified else 403)
    if not verified:
        assert "There is an account with your address already" in texts(answer)


async def test_a_workspaces_provider_brings_members_and_opens_this_workspace_only(
    visitor, database, scope, egress, issuer
):
    provider_id = await provide(database, scope, egress, issuer, "viewer")
    number = await number_of(database, scope)
    page = await visitor.http.get(f"/login/{number}")
    assert f'href="/sign-in/{provider_id}"' in page.text and "Continue with Own ID" in texts(page)
    who = name()
    assert (await sign_in(visitor, provider_id, who)).headers["location"] == "/manage"
    person_id, workspaces = await workspaces_of(database, f"{who}@example.test")
    assert [(one.org_id, one.role) for one in workspaces] == [(scope.org_id, "viewer")]
    async with database.installation(person_id) as session:
        row = await session.fetchrow(
            "select workspace_id, confirmed_at < now() - interval '1 day' as old from app.web_session"
        )
        assert row["workspace_id"] == scope.org_id and row["old"], "it confirms nothing but the workspace"
        assert not (await identity.get_person(session, person_id)).is_verified


async def test_a_workspaces_provider_cannot_take_over_an_account(
    *, visitor, database, scope, other_scope, egress, issuer
):
    """Charlie owns a provider and lets it say that he is Alice's colleague."""
    who = name()
    victim = await add_member(database, scope, "admin", email=f"{who}@example.test")
    provider_id = await provide(database, other_scope, egress, issuer, "member")
    answer = await sign_in(visitor, provider_id, who)
    assert answer.status_code == 403 and "There is an account with your address already" in texts(answer)
    assert len((await workspaces_of(database, f"{who}@example.test"))[1]) == 1
    assert (await visitor.http.get("/manage")).headers["location"].startswith("/login")
    async with database.installation(victim.actor.id) as session:
        assert await session.fetch("select * from app.oidc_identity") == []


async def test_without_a_role_only_invited_addresses_come_in(visitor, database, scope, egress, issuer):
    provider_id = await provide(database, scope, egress, issuer)
    who = name()
    refused = await sign_in(visitor, provider_id, who)
    assert refused.status_code == 403 and "not invited" in texts(refused)
    assert (await workspaces_of(database, f"{who}@example.test"))[0] is None, "nothing is left of the try"
    async with database.session(scope) as session:
        await session.execute(
            """insert into app.invitation (id, email, role, token_hash, expires_at)
               values ($1, $2, 'admin', $3, now() + interval '1 day')""",
            new_id(),
            f"{who}@example.test",
            new_id().bytes,
        )
    assert (await sign_in(visitor, provider_id, who)).status_code == 303
    assert [one.role for one in (await workspaces_of(database, f"{who}@example.test"))[1]] == ["admin"]


async def test_who_left_the_workspace_does_not_come_in_again(visitor, database, scope, egress, issuer):
    provider_id = await provide(database, scope, egress, issuer, "member")
    who = name()
    await sign_in(visitor, provider_id, who)
    person_id, _ = await workspaces_of(database, f"{who}@example.test")
    async with database.session(scope) as session:
        await session.execute("delete from app.member where person_id = $1", person_id)
    answer = await sign_in(visitor, provider_id, who)
    assert answer.status_code == 403 and "no member" in texts(answer)


async def test_an_account_is_linked_by_its_person_and_signs_in_by_it(
    *, site, visitor, database, scope, egress, issuer
):
    provider_id = await provide(database, scope, egress, issuer)
    who = name()
    async with reader_of(site, database, scope) as alice:
        page = await alice.send(f"/account-settings/sign-in/{provider_id}")
        address = page.text.partition(f'href="{issuer}')[2].partition('"')[0].replace("&amp;", "&")
        back = await log_in_at(issuer + address, who, CALLBACK)
        answer = await alice.http.get(back.removeprefix(BASE))
        assert answer.headers["location"] == "/manage"
        assert "linked" in texts(await alice.open("/account-settings/sign-in"))
    assert (await sign_in(visitor, provider_id, who)).status_code == 303
    linked = await visitor.http.get((await visitor.http.get("/manage")).headers["location"])
    base = linked.request.url.path.rpartition("/")[0]
    refused = await visitor.http.post(
        f"{base}/account-settings/sign-in/{provider_id}",
        data={"csrf_token": linked.text.partition('name="csrf_token" value="')[2].partition('"')[0]},
    )
    assert refused.status_code == 403, "a workspace's provider cannot link another one"


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://elsewhere.example.com"},
        {"aud": "another client"},
        {"aud": [CLIENT_ID, "another client"]},
        {"azp": "another client"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"sub": ""},
        {"sub": None},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_opens_nothing(*, visitor, database, scope, egress, lying, changes):
    provider_id = await provide(database, scope, egress, lying.issuer, "member")
    lying.changes = changes
    answer = await sign_in_lying(visitor, lying, provider_id)
    assert answer.status_code == 403 and "was not accepted" in texts(answer)
    assert not [c for c in answer.headers.get_list("set-cookie") if c.startswith("session=")]


def by_hand(claims, algorithm, key=b""):
    """Return a token no library would make: unsigned, or signed with the public key as a shared secret."""
    parts = (json.dumps(part).encode() for part in ({"alg": algorithm, "kid": "one"}, claims))
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(key, text, "sha256") if key else b""
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize("kind", ["none", "other key", "shared secret", "garbage"])
async def test_a_token_nobody_signed_opens_nothing(*, visitor, database, scope, egress, lying, kind):
    provider_id = await provide(database, scope, egress, lying.issuer, "member")
    state = lying.remember(await begin(visitor, provider_id))
    claims = jwt.decode(lying.id_token(), lying.key).claims
    lying.token = {
        "none": by_hand(claims, "none"),
        "garbage": "a.b.c",
        "shared secret": by_hand(claims, "HS256", lying.key.as_pem(private=False)),
        "other key": jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048)),
    }[kind]
    answer = await visitor.http.get("/sign-in/callback", params={"state": state, "code": "any"})
    assert answer.status_code == 403 and "was not accepted" in texts(answer)


async def test_an_honest_token_of_that_provider_is_accepted(visitor, database, scope, egress, lying):
    """Without this, the refusals above would prove nothing. The code goes with its verifier."""
    provider_id = await provide(database, scope, egress, lying.issuer, "member")
    lying.changes = {"email": f"{name()}@example.test", "sub": name()}
    assert (await sign_in_lying(visitor, lying, provider_id)).status_code == 303
    assert len(lying.asked[-1]["code_verifier"]) >= 43 and lying.asked[-1]["redirect_uri"] == CALLBACK


async def test_a_state_works_once_in_its_browser_only(*, site, visitor, database, scope, egress, lying):
    provider_id = await provide(database, scope, egress, lying.issuer, "member")
    lying.changes = {"email": f"{name()}@example.test", "sub": name()}
    address = await begin(visitor, provider_id)
    query = parse_qs(urlsplit(address).query)
    assert query["code_challenge_method"] == ["S256"] and query["response_type"] == ["code"]
    back = {"state": lying.remember(address), "code": "any"}
    made_up = await visitor.http.get("/sign-in/callback", params={"state": "made up", "code": "any"})
    assert made_up.status_code == 403 and "began in another browser" in texts(made_up)
    assert (await visitor.http.get("/sign-in/callback", params=back)).status_code == 303
    assert (await visitor.http.get("/sign-in/callback", params=back)).status_code == 403
    other = {"state": lying.remember(await begin(visitor, provider_id)), "code": "any"}
    async with stranger_at(site) as thief:
        await begin(thief, provider_id)
        assert (await thief.http.get("/sign-in/callback", params=other)).status_code == 403


async def test_an_answer_in_the_name_of_another_provider_is_refused(visitor, database, scope, egress, lying):
    """RFC 9207"""
    provider_id = await provide(database, scope, egress, lying.issuer, "member")
    back = {"state": lying.remember(await begin(visitor, provider_id)), "code": "any"}
    answer = await visitor.http.get("/sign-in/callback", params={**back, "iss": "https://elsewhere.test"})
    assert answer.status_code == 403 and "was not accepted" in texts(answer)


async def test_a_description_in_the_name_of_another_issuer_is_refused(egress, lying):
    address, lying.issuer = lying.issuer, "https://elsewhere.example.com"
    with pytest.raises(Forbidden, match="sign_in_refused"):
        await OidcOverEgress(egress).check(address)
    lying.issuer = address
    await OidcOverEgress(egress).check(address)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "https://10.0.0.1", "https://169.254.169.254", "https://[::1]"]
)
async def test_a_private_address_is_no_issuer(database, scope, egress, address):
    """SEC-4"""
    with pytest.raises(Invalid) as refused:
        await provide(database, scope, egress, address)
    assert refused.value.fields[0].pointer == "issuer"
    async with database.session(scope) as session:
        assert await providers.list_providers(session) == []


async def test_owners_keep_providers_on_a_page_and_the_secret_stays_hidden(
    site, database, scope, lying, egress
):
    fields = {"name": "Own ID", "issuer": lying.issuer, "client_id": CLIENT_ID, "role": "member"}
    async with reader_of(site, database, scope) as alice:
        wrong = await alice.send(
            "/settings/sign-in", {**fields, "issuer": "https://10.0.0.1", "client_secret": "x"}
        )
        assert wrong.status_code == 422 and "must be a public one" in texts(wrong)
        added = await alice.send("/settings/sign-in", {**fields, "client_secret": CLIENT_SECRET})
        page = await alice.follow(added)
        assert "Own ID" in texts(page) and "…ests" in texts(page) and CLIENT_SECRET not in page.text
        provider_id = page.text.partition("/settings/sign-in/")[2].partition("/")[0]
        tested = await alice.send(f"/settings/sign-in/{provider_id}/test")
        assert "answers as it should" in texts(await alice.follow(tested))
        changed = await alice.send(f"/settings/sign-in/{provider_id}", {**fields, "name": "New name"})
        assert "New name" in texts(await alice.follow(changed))
        await alice.send(f"/settings/sign-in/{provider_id}/remove")
        assert "None yet" in texts(await alice.open("/settings/sign-in"))
    async with reader_of(site, database, await add_member(database, scope, "admin")) as bob:
        assert (await bob.open("/settings/sign-in")).status_code == 403
    async with database.session(scope) as session:
        rows = await session.fetch(
            "select action from app.audit_event where org_id = $1 order by seq", scope.org_id
        )
    actions = [row["action"].partition(".")[2] for row in rows if row["action"].startswith("sign_in")]
    assert actions == ["created", "changed", "removed"] and scope.org_id != PLATFORM_ID
