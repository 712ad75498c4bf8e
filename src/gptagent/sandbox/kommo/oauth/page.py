"""The consent page of www.kommo.com and www.amocrm.ru.

A browser cannot resolve the sandbox's hosts, so the page is served at `/_www/{brand}/oauth` too.
"""

from pathlib import Path
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gptagent.sandbox.kommo.controls.find import desk_of
from gptagent.sandbox.kommo.oauth.book import PLATFORMS, Integration
from gptagent.sandbox.kommo.state import Account
from gptagent.sandbox.wire import refusal

# The form leads to the integration's own address, so the page may send it anywhere.
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
WORDS = {
    "kommo": {
        "asks": "This integration asks for access to your account:",
        "account": "Account",
        "allow": "Allow",
        "deny": "Deny",
    },
    "amocrm": {
        "asks": "Интеграция запрашивает доступ к аккаунту:",
        "account": "Аккаунт",
        "allow": "Разрешить",
        "deny": "Отказать",
    },
}

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)


async def show(request: Request) -> Response:
    integration = _integration(request)
    brand = _brand(request)
    accounts = list(desk_of(request).world.accounts.values())
    page = _templates.get_template("consent.html").render(
        lang="ru" if brand == "amocrm" else "en",
        site="amoCRM" if brand == "amocrm" else "Kommo",
        words=WORDS[brand],
        integration=integration,
        accounts=accounts,
        action=f"{request.url.path}?{request.url.query}",
    )
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY})


async def decide(request: Request) -> Response:
    """Send the browser back to the integration, with a code or with a denial."""
    integration, form = _integration(request), await request.form()
    if form.get("answer") != "allow":
        return _back(request, integration, {"error": "access_denied"})
    account = desk_of(request).world.accounts.get(str(form.get("account", "")))
    if account is None:
        raise refusal(404, "no such account")
    return _back(request, integration, granted(request, integration, account))


def granted(request: Request, integration: Integration, account: Account) -> dict[str, str]:
    """Return what a consent leads back with, but the state."""
    code = desk_of(request).oauth.new_code(integration, account)
    domain = "amocrm.test" if integration.brand == "amocrm" else "kommo.test"
    return {
        "code": code.value,
        "referer": f"{account.subdomain}.{domain}",
        "platform": str(PLATFORMS[integration.brand]),
    }


def _back(request: Request, integration: Integration, result: dict[str, str]) -> Response:
    state = request.query_params.get("state")
    query = {**result, **({"state": state} if state else {}), "client_id": integration.client_id}
    return RedirectResponse(f"{integration.redirect_uri}?{urlencode(query)}", 302)


def _integration(request: Request) -> Integration:
    found = desk_of(request).oauth.integrations.get(request.query_params.get("client_id", ""))
    if found is None or found.brand != _brand(request):
        raise refusal(404, "no such integration")
    return found


def _brand(request: Request) -> str:
    host = request.headers.get("host", "").split(":")[0]
    brand = request.path_params.get("brand", "amocrm" if host == "www.amocrm.test" else "kommo")
    if brand not in PLATFORMS:
        raise refusal(404, "no such site")
    return str(brand)


ROUTES = [
    Route("/oauth", show, methods=["GET"]),
    Route("/oauth", decide, methods=["POST"]),
    Route("/_www/{brand}/oauth", show, methods=["GET"]),
    Route("/_www/{brand}/oauth", decide, methods=["POST"]),
]
