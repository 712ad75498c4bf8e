"""Keys of stored secrets are replaced while everything keeps opening."""

import os
from base64 import b64encode

import psycopg
import pytest

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import service as crm
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.ids import new_id
from gptagent.kernel.installation import check_keys
from gptagent.kernel.scope import PLATFORM_ID
from gptagent.migrations import rotation
from gptagent.migrations.rotation import key_use, rotate_keys
from gptagent.migrations.sealed import SEALED
from homes import new_home, own_database

# Columns of bytes that SECRET_KEYS have not sealed, and what they hold.
NOT_SEALED = {
    "api_key.key_hash": "a hash of a random key",
    "audit_event.address": "sealed under the actor's own key, which is a row of person_key",
    "audit_event.hash": "the chain",
    "audit_event.personal": "sealed under the person's own key, which is a row of person_key",
    "audit_event.prev": "the chain",
    "audit_head.hash": "the chain",
    "crm_connection.hook_hash": "a hash of a random secret",
    "crm_reply_slot.url_hash": "a hash of an address",
    "crm_seen.key": "a digest of what was acted on",
    "crm_consent.state_hash": "a hash of a random state",
    "erased_message.message_hash": "a hash",
    "idempotency_key.request_hash": "a hash",
    "invitation.token_hash": "a hash of a random token",
    "one_time_token.token_hash": "a hash of a random token",
    "passkey.credential_id": "public",
    "passkey.public_key": "public",
    "recovery_code.code_hash": "a hash of a random code",
    "refresh_token.token_hash": "a hash of a random token",
    "setup_link.token_hash": "a hash of a random token",
    "web_session.token_hash": "a hash of a random token",
}
A, B = os.urandom(32), os.urandom(32)


@pytest.fixture(scope="module")
def home():
    with new_home() as home:
        yield home


@pytest.fixture(scope="module")
def roles(home):
    """A database whose every value these tests have sealed themselves."""
    with own_database(home) as roles:
        yield roles


@pytest.fixture(scope="module")
async def database(roles):
    database = await Database.connect(roles.app_dsn, max_connections=4)
    yield database
    await database.close()


@pytest.fixture
def owner(roles):
    """The owner's connection, on an installation that begins with key A and holds nothing sealed."""
    with psycopg.connect(roles.owner_dsn, autocommit=True) as connection:
        for table in ("crm_connection", "person_key", "totp", "oidc_provider", "letter", "one_time_token"):
            connection.execute(f"delete from app.{table}")  # noqa: S608 - names of this file
        before = connection.execute("delete from app.installation returning key_fingerprint").fetchone()
        yield connection
        connection.execute("delete from app.person_key")
        connection.execute("delete from app.crm_connection")
        connection.execute("delete from app.installation")
        if before:
            connection.execute("insert into app.installation (key_fingerprint) values (%s)", before)


async def start(roles, *keys):
    """A process starts with these keys; returns its database."""
    vault = Vault(keys)
    database = await Database.connect(roles.app_dsn, vault, max_connections=2)
    try:
        async with database.installation() as session:
            await check_keys(session, vault)
    except Misconfigured:
        await database.close()
        raise
    return database


async def refusal(roles, *keys):
    with pytest.raises(Misconfigured) as refused:
        await start(roles, *keys)
    return refused.value.code


def connect_crm(owner, vault, scope):
    """A connection's row, as connecting stores it."""
    org_id, row_id = scope.org_id, new_id()
    owner.execute(
        """insert into app.crm_connection (org_id, id, provider, host, account_id, name, token_sealed,
                                           hook_hash, hook_sealed)
           values (%s, %s, 'kommo', 'x.kommo.test', 1, 'X', %s, %s, %s)""",
        [
            org_id,
            row_id,
            vault.seal("the token", org_id=org_id, purpose=crm.TOKEN_PURPOSE),
            os.urandom(32),
            vault.seal("the hook", org_id=org_id, purpose=crm.HOOK_PURPOSE),
        ],
    )
    return row_id


def fill(owner, number, vault):
    for _ in range(number):
        person_id = new_id()
        sealed = vault.seal(b64encode(A).decode(), org_id=PLATFORM_ID, purpose=f"person-key:{person_id}")
        owner.execute("insert into app.person_key (person_id, sealed) values (%s, %s)", [person_id, sealed])


def uses(roles, *keys):
    return [(use.place, use.values) for use in key_use(roles.owner_dsn, Vault(keys))]


def test_every_column_of_bytes_is_rotated_or_has_its_reason(owner):
    """SEC-7"""
    found = owner.execute(
        """select table_name || '.' || column_name from information_schema.columns
            where table_schema = 'app' and (data_type = 'bytea' or column_name like '%sealed%')"""
    ).fetchall()
    registered = {f"{place.table}.{place.column}" for place in SEALED}
    assert {name for (name,) in found} == registered | NOT_SEALED.keys()
    assert not registered & NOT_SEALED.keys()


async def test_after_a_rotation_the_old_key_can_be_dropped(roles, owner, scope):
    """SEC-7"""
    first = await start(roles, A)
    row_id = connect_crm(owner, Vault([A]), scope)
    async with first.session(scope) as session:
        await audit.record(
            session, Entry("agent.renamed", "agent", personal={"name": "Ann"}, personal_of=new_id())
        )
    await first.close()
    second = await start(roles, B, A)
    assert await refusal(roles, B) == await refusal(roles, A) == "secret_keys_differ"
    assert uses(roles, B, A) == [(0, 0), (1, 3)] and uses(roles, B) == [(0, 0), (None, 3)]
    assert rotate_keys(roles.owner_dsn, Vault([B, A])).rewritten == 3
    assert uses(roles, B) == [(0, 3)]
    await second.close()
    third = await start(roles, B)
    async with third.session(scope) as session:
        link = await crm.open_link(session, row_id, session.vault)
        (entry, *_) = await audit.list_entries(session)
    assert link.token == "the token" and entry.personal == {"name": "Ann"}
    assert await refusal(roles, A, os.urandom(32)) == "secret_keys_differ"
    await third.close()


async def test_a_rotation_that_was_cut_off_goes_on_where_it_was(roles, owner, monkeypatch):
    """SEC-7"""
    monkeypatch.setattr(rotation, "BATCH_ROWS", 3)
    await (await start(roles, A)).close()
    fill(owner, 10, Vault([A]))
    await (await start(roles, B, A)).close()
    seal, left = Vault.seal, [7]

    def dying(self, *args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return seal(self, *args, **kwargs)

    monkeypatch.setattr(Vault, "seal", dying)
    with pytest.raises(KeyboardInterrupt):
        rotate_keys(roles.owner_dsn, Vault([B, A]))
    monkeypatch.setattr(Vault, "seal", seal)
    assert uses(roles, B, A) == [(0, 6), (1, 4)]
    assert await refusal(roles, B) == "secret_keys_differ"
    assert rotate_keys(roles.owner_dsn, Vault([B, A])).rewritten == 4
    await (await start(roles, B)).close()


async def test_a_value_that_was_renewed_meanwhile_is_not_put_back(roles, owner, scope, monkeypatch):
    await (await start(roles, A)).close()
    row_id = connect_crm(owner, Vault([A]), scope)
    await (await start(roles, B, A)).close()
    renewed = Vault([B]).seal("renewed", org_id=scope.org_id, purpose=crm.TOKEN_PURPOSE)
    opened = Vault.open

    def slow(self, *args, **kwargs):
        owner.execute("update app.crm_connection set token_sealed = %s", [renewed])
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Vault, "open", slow)
    rotate_keys(roles.owner_dsn, Vault([B, A]))
    row = owner.execute("select token_sealed from app.crm_connection where id = %s", [row_id]).fetchone()
    assert bytes(row[0]) == renewed and uses(roles, B) == [(0, 2)]


async def test_a_damaged_value_keeps_the_old_key_needed(roles, owner):
    await (await start(roles, A)).close()
    fill(owner, 2, Vault([A]))
    owner.execute("insert into app.person_key select gen_random_uuid(), sealed from app.person_key limit 1")
    await (await start(roles, B, A)).close()
    result = rotate_keys(roles.owner_dsn, Vault([B, A]))
    assert (result.rewritten, result.unreadable) == (2, 1)
    assert await refusal(roles, B) == "secret_keys_differ"


async def test_nothing_is_rotated_to_a_key_no_process_knows(roles, owner):
    await (await start(roles, A)).close()
    with pytest.raises(Misconfigured) as refused:
        rotate_keys(roles.owner_dsn, Vault([B, A]))
    assert refused.value.code == "secret_keys_not_in_use"


async def test_a_rotation_is_on_record(roles, owner):
    await (await start(roles, A)).close()
    fill(owner, 1, Vault([A]))
    await (await start(roles, B, A)).close()
    rotate_keys(roles.owner_dsn, Vault([B, A]))
    row = owner.execute("select action, actor_kind from app.audit_event order by at desc limit 1").fetchone()
    assert row == ("secrets.rotated", "operator")
