"""What was sealed or hashed is in no answer, not even its owner's."""

from isolation.routes import CASES, Foreign, Own, fill, place, split


async def test_no_answer_to_its_owner_shows_a_secret(as_alice, alice, platform):
    """SEC-7: every GET of the API and of the pages, with the rights of an owner."""
    async with platform.db.session(alice.scope) as session:
        row = await session.fetchrow("select token_sealed, hook_sealed, hook_hash from app.crm_connection")
        hashes = await session.fetch(
            "select key_hash as hash from app.api_key union all select token_hash from app.invitation"
        )
    secrets = {
        platform.vault.open(row["token_sealed"], org_id=alice.scope.org_id, purpose="crm-token"),
        platform.vault.open(row["hook_sealed"], org_id=alice.scope.org_id, purpose="crm-hook"),
        *(value.hex() for value in (row["hook_hash"], row["token_sealed"], row["hook_sealed"])),
        *(one["hash"].hex() for one in hashes),
    }
    assert len(secrets) >= 7 and all(secrets)
    told, read = [], 0
    for name, case in CASES.items():
        method, path = split(name)
        if method != "GET" or not isinstance(case, Own | Foreign) or name.endswith("/live"):
            continue
        address = fill(path, case, alice) if isinstance(case, Foreign) else path
        response = await as_alice.call(method, place(address, alice), **case.options)
        read += response.status_code == 200
        told += [name for secret in secrets if secret in response.text]
    assert told == [] and read > 20
