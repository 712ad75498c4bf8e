"""What becomes of a sign-in by a provider: nothing it gave is kept, and it decides no more."""

from contextlib import AsyncExitStack
from datetime import timedelta

import httpx2
import psycopg
import pytest

from gptagent.adapters.oidc.port import OidcOverEgress
from gptagent.entrypoints.demo.ports import free_port
from gptagent.features.identity.model import SESSION_LIFE
from gptagent.features.sign_in import providers
from gptagent.features.sign_in.model import ProviderData
from gptagent.kernel.egress import Egress
from gptagent.kernel.ids import new_id
from integration.conftest import serving_here
from oidc_providers import CLIENT_ID, CLIENT_SECRET, rogue_provider
from readers import elsewhere, stranger_at, texts

BASE = f"http://localhost:{free_port()}"
TABLES = """select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
              from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname in ('app', 'jobs') and c.relkind in ('r', 'p')"""


async def provide(database, scope, rogue):
    """Give the workspace this provider, which vouches for a new person; return its id."""
    host, port = rogue.issuer.removeprefix("http://").split(":")
    egress = Egress(frozenset({(host, int(port))}))
    rogue.changes = {"email": f"{new_id().hex}@example.test", "sub": f"subject-{new_id().hex}"}
    data = ProviderData("Own ID", rogue.issuer, CLIENT_ID, CLIENT_SECRET, "member")
    provider = await providers.add_provider(database, scope, OidcOverEgress(egress), data)
    await egress.aclose()
    return provider.id


def site_beside(home, rogue):
    """Serve the platform, allowed to call this provider."""
    return serving_here(home, public_url=BASE, egress_allow=rogue.issuer.removeprefix("http://"))


async def sign_in(reader, rogue, provider_id, code="any"):
    address = (await reader.http.get(f"/sign-in/{provider_id}")).headers["location"]
    back = {"state": rogue.remember(address), "code": code}
    answer = await reader.http.get("/sign-in/callback", params=back)
    assert answer.headers.get("location") == "/manage", texts(answer)
    return await reader.http.get((await reader.http.get("/manage")).headers["location"])


def all_rows(roles, scope):
    """Return everything there is in the database, as text; bytes in hexadecimal."""
    found = []
    with psycopg.connect(roles.owner_dsn) as connection:
        connection.execute("select set_config('app.org_id', %s, true)", [str(scope.org_id)])
        for (table,) in connection.execute(TABLES).fetchall():
            for (row,) in connection.execute(f"select t::text from {table} t"):  # noqa: S608 - a name of the catalogue
                found.append(row)
    return "\n".join(found)


async def test_nothing_a_provider_gives_is_kept_or_passed_on(database, scope, home, roles):
    """Identity, access and refresh tokens and the code stay in the one call they came by."""
    async with rogue_provider() as rogue, site_beside(home, rogue) as url, stranger_at(url) as visitor:
        visitor.http.headers.update(elsewhere())
        rogue.also = {"access_token": "access-canary9w2k", "refresh_token": "refresh-canary9w2k"}
        provider_id = await provide(database, scope, rogue)
        dashboard = await sign_in(visitor, rogue, provider_id, "code-canary9w2k")
        assert dashboard.status_code == 200 and rogue.asked[-1]["code"] == "code-canary9w2k"
        kept = all_rows(roles, scope)
        shown = dashboard.text + "".join(f"{name}={value}" for name, value in visitor.http.cookies.items())
        assert rogue.changes["sub"] in kept, "else it was looked for in the wrong place"
        for given in ("canary9w2k", rogue.given[-1]):
            assert given not in shown
            assert given not in kept and given.encode().hex() not in kept


async def test_a_session_lives_by_our_own_figures_whatever_becomes_of_the_providers(
    database, scope, home, roles
):
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(AsyncExitStack())
        rogue = await provider.enter_async_context(rogue_provider())
        url = await stack.enter_async_context(site_beside(home, rogue))
        visitor = await stack.enter_async_context(stranger_at(url))
        visitor.http.headers.update(elsewhere())
        provider_id = await provide(database, scope, rogue)

        page = await sign_in(visitor, rogue, provider_id)
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        out = await visitor.http.post("/logout", data={"csrf_token": token})
        assert out.headers["location"] == "/login" and len(rogue.asked) == 1, "nobody is logged out there"
        page = await sign_in(visitor, rogue, provider_id)
        assert len(rogue.asked) == 2, "whoever comes in again is asked for again"
        assert lives_of(roles, rogue.changes["sub"]) == [SESSION_LIFE]

        await provider.aclose()
        with pytest.raises(httpx2.TransportError):
            await visitor.http.get(f"{rogue.issuer}/keys")
        assert (await visitor.http.get(page.request.url.path)).status_code == 200


def lives_of(roles, subject):
    with psycopg.connect(roles.owner_dsn) as connection:
        rows = connection.execute(
            """select s.expires_at - s.created_at from app.web_session s
                 join app.oidc_identity i using (person_id) where i.subject = %s""",
            [subject],
        )
        return [timedelta(seconds=round(life.total_seconds())) for (life,) in rows]
