"""How long a log-in over the API can be kept alive."""

from datetime import timedelta

import psycopg
import pytest

from gptagent.features.identity import service as identity

LONGEST = """select max(r.expires_at - g.created_at)
               from app.refresh_token r join app.api_grant g on g.id = r.grant_id
              where g.id = %s and r.used_at is null"""


@pytest.mark.parametrize(
    ("age", "is_renewed"), [(timedelta(days=29, hours=23), True), (timedelta(days=30), False)]
)
async def test_a_log_in_over_the_api_ends_after_thirty_days_however_often_it_is_renewed(
    age, is_renewed, database, roles, scope
):
    async with database.session(scope) as session:
        grant_id, token = await identity.open_grant(session, scope.actor.id, scope.org_id)
    with psycopg.connect(roles.owner_dsn) as owner:
        owner.execute("update app.api_grant set created_at = now() - %s where id = %s", [age, grant_id])
    async with database.installation() as session:
        found = await identity.use_refresh_token(session, token)
    assert (found is not None) == is_renewed
    with psycopg.connect(roles.owner_dsn) as owner:
        (longest,) = owner.execute(LONGEST, [grant_id]).fetchone()
    assert not is_renewed or longest == timedelta(days=30)
