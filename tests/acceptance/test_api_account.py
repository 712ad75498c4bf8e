"""A person's own account over the API: what they see and change, and what is asked of them before."""

from io import BytesIO

import pyotp
import pytest
from PIL import Image

from acceptance.door import new_address
from acceptance.operations import OPERATIONS, PERSON
from authenticator import Authenticator
from cast import make_scope
from gptagent.features.identity import service as identity
from gptagent.features.identity.service import hash_token
from gptagent.features.organizations.model import API_KEY_PREFIX
from gptagent.features.organizations.policy import KEY_SCOPES
from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id, new_token
from isolation.estate import insert
from members import PASSWORD, cookie_of

ACCOUNT = "/api/v1/account"
NEW = "staple of a battery horse"


@pytest.fixture
async def ann(door, database):
    """Somebody with an account nobody else of the tests uses."""
    return await door.of(await make_scope(database, "Ann's"))


@pytest.fixture
async def email(ann, database):
    async with database.session(ann.scope) as session:
        return (await identity.get_person(session, ann.scope.actor.id)).email


async def age(database, scope):
    async with database.session(scope) as session:
        await session.execute("update app.api_grant set confirmed_at = now() - interval '16 minutes'")


async def enrol(ann, database):
    """Switch the second step on; return the app and the recovery codes."""
    app = pyotp.TOTP((await ann("POST", f"{ACCOUNT}/totp")).json()["secret"])
    confirmed = await ann("POST", f"{ACCOUNT}/totp/confirm", json={"code": app.now()})
    assert confirmed.status_code == 200, confirmed.text
    async with database.session(ann.scope) as session:  # as if a while ago: each code counts once
        await session.execute("update app.totp set last_step = last_step - 2")
    return app, confirmed.json()["codes"]


async def test_a_profile_is_read_and_changed(ann, email):
    before = await ann("GET", ACCOUNT)
    assert (before.json()["email"], before.json()["has_second_factor"]) == (email, False)
    changed = await ann(
        "PATCH", ACCOUNT, json={"given_name": " Ann ", "family_name": "Other", "locale": "ru"}
    )
    assert (changed.json()["full_name"], changed.json()["locale"]) == ("Ann Other", "ru")
    late = await ann("PATCH", ACCOUNT, json={"locale": "en"}, headers={"if-match": before.headers["etag"]})
    assert late.status_code == 412
    for wrong in ({"email": "a@b.test"}, {"is_platform_admin": True}, {"given_name": ""}):
        assert (await ann("PATCH", ACCOUNT, json=wrong)).status_code == 422


async def test_the_last_name_may_be_empty_and_what_others_see_is_both(ann):
    for names, seen in (
        ({"given_name": "Ann", "family_name": "Other"}, "Ann Other"),
        ({"family_name": ""}, "Ann"),
        ({"given_name": "Anna Maria", "family_name": "de la Cruz"}, "Anna Maria de la Cruz"),
    ):
        assert (await ann("PATCH", ACCOUNT, json=names)).json()["full_name"] == seen
    (member,) = (await ann("GET", "/api/v1/members")).json()["items"]
    assert member["full_name"] == "Anna Maria de la Cruz"
    refused = await ann("PATCH", ACCOUNT, json={"full_name": "Ann Other"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/full_name")


async def test_a_picture_is_set_read_and_removed(ann):
    file = BytesIO()
    Image.new("RGB", (300, 200), "teal").save(file, "JPEG")
    put = await ann("PUT", f"{ACCOUNT}/avatar", files={"file": ("me.exe", file.getvalue())})
    assert put.status_code == 204, put.text
    picture = await ann("GET", f"{ACCOUNT}/avatar")
    assert picture.headers["content-type"] == "image/webp"
    assert (await ann("GET", ACCOUNT)).json()["has_avatar"]
    assert (await ann("DELETE", f"{ACCOUNT}/avatar")).status_code == 204
    assert (await ann("GET", f"{ACCOUNT}/avatar")).status_code == 404


async def test_a_new_password_ends_the_other_log_ins_and_not_this_one(ann, email, door, database):
    """AUTH-10"""
    other = await door.of(ann.scope)
    await cookie_of(database, ann.scope)
    wrong = await ann("POST", f"{ACCOUNT}/password", json={"current_password": "x", "new_password": NEW})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/current_password")
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert (await ann("POST", f"{ACCOUNT}/password", json=body)).status_code == 204
    assert (await other("GET", ACCOUNT)).status_code == 401
    assert (await ann("GET", f"{ACCOUNT}/sessions")).json()["items"] == []
    (grant,) = (await ann("GET", f"{ACCOUNT}/grants")).json()["items"]
    assert grant["is_current"]
    assert (await door.log_in(email, PASSWORD)).status_code == 401
    assert (await door.log_in(email, NEW)).status_code == 200


async def test_log_ins_are_listed_and_ended(ann, door, database):
    """AUTH-16"""
    other = await door.of(ann.scope)
    await cookie_of(database, ann.scope)
    (session,) = (await ann("GET", f"{ACCOUNT}/sessions")).json()["items"]
    assert (await ann("DELETE", f"{ACCOUNT}/sessions/{session['id']}")).status_code == 204
    assert (await ann("DELETE", f"{ACCOUNT}/sessions/{session['id']}")).status_code == 404
    grants = (await ann("GET", f"{ACCOUNT}/grants")).json()["items"]
    (theirs,) = [one["id"] for one in grants if not one["is_current"]]
    assert (await ann("DELETE", f"{ACCOUNT}/grants/{theirs}")).status_code == 204
    assert (await other("GET", ACCOUNT)).status_code == 401
    third = await door.of(ann.scope)
    assert (await ann("DELETE", f"{ACCOUNT}/sessions")).status_code == 204
    assert (await third("GET", ACCOUNT)).status_code == 401
    assert (await ann("GET", ACCOUNT)).status_code == 200


async def test_a_log_in_needs_the_code_after_the_right_password_only(ann, email, door, database):
    """AUTH-17"""
    app, codes = await enrol(ann, database)
    asked = await door.log_in(email, PASSWORD)
    assert (asked.status_code, asked.json()["code"]) == (401, "second_factor_needed")
    wrong_password = await door.log_in(email, "not the right one", code=codes[0])
    assert wrong_password.json()["code"] == "wrong_credentials"
    wrong_code = await door.log_in(email, PASSWORD, code="12345")
    assert (wrong_code.status_code, wrong_code.json()["code"]) == (401, "wrong_code")
    code = app.now()
    assert (await door.log_in(email, PASSWORD, code=code)).status_code == 200
    assert (await door.log_in(email, PASSWORD, code=code)).json()["code"] == "wrong_code"
    assert (await door.log_in(email, PASSWORD, code=codes[0])).status_code == 200
    assert (await door.log_in(email, PASSWORD, code=codes[0])).json()["code"] == "wrong_code"


async def test_the_second_step_is_switched_off_and_its_codes_are_renewed(ann, email, door, database):
    _app, codes = await enrol(ann, database)
    assert (await ann("POST", f"{ACCOUNT}/totp")).json()["code"] == "second_factor_on"
    fresh = (await ann("POST", f"{ACCOUNT}/recovery-codes")).json()["codes"]
    assert (await door.log_in(email, PASSWORD, code=codes[0])).status_code == 401
    assert (await door.log_in(email, PASSWORD, code=fresh[0])).status_code == 200
    assert (await ann("GET", ACCOUNT)).json()["recovery_codes_left"] == 9
    assert (await ann("DELETE", f"{ACCOUNT}/totp")).status_code == 204
    assert (await door.log_in(email, PASSWORD)).status_code == 200


SENSITIVE = [
    ("POST", "/totp", {}),
    ("POST", "/totp/confirm", {"json": {"code": "123456"}}),
    ("DELETE", "/totp", {}),
    ("POST", "/recovery-codes", {}),
    ("POST", "/passkeys/options", {}),
    ("POST", "/passkeys", {"json": {"name": "Mine", "credential": {}}}),
    ("DELETE", f"/passkeys/{new_id()}", {}),
]


async def test_what_is_sensitive_asks_who_it_is(ann, database):
    await age(database, ann.scope)
    for method, path, options in SENSITIVE:
        refused = await ann(method, ACCOUNT + path, **options)
        assert (refused.status_code, refused.json()["code"]) == (403, "confirmation_needed"), path
    wrong = await ann("POST", f"{ACCOUNT}/confirmation", json={"password": "wrong"})
    assert wrong.status_code == 422
    assert (await ann("POST", f"{ACCOUNT}/totp")).status_code == 403
    assert (await ann("POST", f"{ACCOUNT}/confirmation", json={"password": PASSWORD})).status_code == 204
    assert (await ann("POST", f"{ACCOUNT}/totp")).status_code == 200


async def test_a_passkey_is_added_listed_and_removed(ann, web):
    key = Authenticator(web.url.replace("127.0.0.1", "localhost"))
    options = (await ann("POST", f"{ACCOUNT}/passkeys/options")).json()["options"]
    body = {"name": "My desk", "credential": key.create(options)}
    made = await ann("POST", f"{ACCOUNT}/passkeys", json=body)
    assert made.status_code == 201, made.text
    assert (await ann("POST", f"{ACCOUNT}/passkeys", json=body)).status_code == 422, (
        "a challenge is used once"
    )
    (listed,) = (await ann("GET", f"{ACCOUNT}/passkeys")).json()["items"]
    assert listed == made.json()
    assert (await ann("DELETE", f"{ACCOUNT}/passkeys/{listed['id']}")).status_code == 204
    assert (await ann("GET", f"{ACCOUNT}/passkeys")).json()["items"] == []


@pytest.fixture(scope="module")
async def program(door, alices_door, database):
    """A key of Alice's workspace with all a key may have."""
    key = API_KEY_PREFIX + new_token()
    async with database.session(alices_door.scope) as session:
        known = {"id": new_id(), "name": "Program", "key_start": key[:8], "key_end": key[-3:]}
        await insert(session, "api_key", **known, key_hash=hash_token(key), scopes=sorted(KEY_SCOPES))
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.needs == PERSON], ids=lambda one: one.name
)
async def test_a_program_has_no_account(operation, door, program):
    """AUTH-14"""
    response = await door(operation.method, operation.path, headers=program, **operation.options())
    assert (response.status_code, response.json()["code"]) == (403, "person_needed")


async def add_key(ann, web):
    key = Authenticator(web.url.replace("127.0.0.1", "localhost"))
    options = (await ann("POST", f"{ACCOUNT}/passkeys/options")).json()["options"]
    body = {"name": "My desk", "credential": key.create(options)}
    assert (await ann("POST", f"{ACCOUNT}/passkeys", json=body)).status_code == 201
    return key


async def log_in_by(door, key, **more):
    """Ask, answer by the passkey, log in; return the body that did it and the answer."""
    address = new_address()
    asked = await door("POST", "/api/v1/auth/passkey/options", headers=address)
    body = {"credential": key.get(asked.json()["options"]), **more}
    return body, await door("POST", "/api/v1/auth/passkey", json=body, headers=address)


async def test_a_passkey_logs_in_once_per_question(ann, door, web, database):
    key = await add_key(ann, web)
    body, entered = await log_in_by(door, key)
    assert entered.status_code == 200, entered.text
    tokens = entered.json()
    door.used |= {tokens["access_token"], tokens["refresh_token"]}
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await door("GET", ACCOUNT, headers=bearer)).json()["id"] == str(ann.scope.actor.id)
    again = await door("POST", "/api/v1/auth/passkey", json=body, headers=new_address())
    assert (again.status_code, again.json()["code"]) == (401, "passkey_refused")
    _body, elsewhere = await log_in_by(door, key, workspace=1)
    assert elsewhere.json()["code"] == "workspace_not_found"
    _body, stranger = await log_in_by(door, Authenticator(key.origin))
    assert (stranger.status_code, stranger.json()["code"]) == (401, "passkey_refused")


async def test_a_question_is_good_for_five_minutes_and_for_its_purpose(ann, door, web, roles):
    key = await add_key(ann, web)
    asked = await door("POST", "/api/v1/auth/passkey/options", headers=new_address())
    owner = await Database.connect(roles.owner_dsn, max_connections=1)
    async with owner.installation() as session:
        await session.execute(
            "update app.one_time_token set expires_at = now() where kind = 'passkey' and person_id is null"
        )
    await owner.close()
    for options in (
        asked.json()["options"],
        (await ann("POST", f"{ACCOUNT}/confirmation/options")).json()["options"],
    ):
        body = {"credential": key.get(options)}
        late = await door("POST", "/api/v1/auth/passkey", json=body, headers=new_address())
        assert (late.status_code, late.json()["code"]) == (401, "passkey_refused")


async def test_a_passkey_confirms_that_it_is_you(ann, web, database):
    key = await add_key(ann, web)
    await age(database, ann.scope)
    assert (await ann("POST", f"{ACCOUNT}/recovery-codes")).status_code == 403
    options = (await ann("POST", f"{ACCOUNT}/confirmation/options")).json()["options"]
    confirmed = await ann("POST", f"{ACCOUNT}/confirmation", json={"credential": key.get(options)})
    assert confirmed.status_code == 204, confirmed.text
    again = await ann("POST", f"{ACCOUNT}/confirmation", json={"credential": key.get(options)})
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (422, "/credential")
    assert (await ann("POST", f"{ACCOUNT}/recovery-codes")).status_code == 404  # asked, but there are none


async def test_sign_in_providers_are_listed_and_unlinked(ann, database):
    provider_id = new_id()
    known = {"name": "Keycloak", "issuer": "https://id.test", "client_id": "a", "secret_end": "x"}
    async with database.session(ann.scope) as session:
        await insert(session, "oidc_provider", id=provider_id, **known, secret_sealed=b"x")
        linked = {"subject": "ann", "person_id": ann.scope.actor.id}
        await insert(session, "oidc_identity", provider_id=provider_id, **linked)
    where = f"{ACCOUNT}/sign-in-providers"
    (listed,) = (await ann("GET", where)).json()["items"]
    assert (listed["name"], listed["is_linked"]) == ("Keycloak", True)
    assert (await ann("DELETE", f"{where}/{provider_id}")).status_code == 204
    assert not (await ann("GET", where)).json()["items"][0]["is_linked"]
    assert (await ann("DELETE", f"{where}/{new_id()}")).status_code == 404


async def test_deleting_a_workspace_asks_who_it_is(ann, database):
    name = (await ann("GET", "/api/v1/workspace")).json()["name"]
    await age(database, ann.scope)
    refused = await ann("PUT", "/api/v1/workspace/deletion", json={"name": name})
    assert (refused.status_code, refused.json()["code"]) == (403, "confirmation_needed")
    assert (await ann("POST", f"{ACCOUNT}/confirmation", json={"password": PASSWORD})).status_code == 204
    begun = await ann("PUT", "/api/v1/workspace/deletion", json={"name": name})
    assert begun.json()["delete_at"] is not None
