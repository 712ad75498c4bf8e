"""Pages for people: the accounts and chats, and a chat in which one plays the customer or the manager.

Everything works as plain forms; the script only spares the reloading.
"""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from gptagent.sandbox.kommo import chats
from gptagent.sandbox.kommo.controls import describe
from gptagent.sandbox.kommo.controls.accounts import SUBDOMAIN
from gptagent.sandbox.kommo.controls.find import account_of, chat_of, desk_of
from gptagent.sandbox.kommo.page_text import ORIGINS, TEXTS
from gptagent.sandbox.kommo.seed import Features
from gptagent.sandbox.wire import refusal

TEMPLATES = Path(__file__).parent / "templates"
STATIC = {"sandbox.css": "text/css", "chat.js": "text/javascript"}
CHATS_PER_ACCOUNT = 50
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
)


async def show_accounts(request: Request) -> Response:
    accounts = [
        (
            describe.account(account),
            [
                describe.chat(account, chat)
                for chat in list(account.chats.values())[: -CHATS_PER_ACCOUNT - 1 : -1]
            ],
        )
        for account in desk_of(request).world.accounts.values()
    ]
    return render(
        request, "index.html", accounts=accounts, origins=ORIGINS, wrong="wrong" in request.query_params
    )


async def add_account(request: Request) -> Response:
    desk = desk_of(request)
    subdomain = str((await request.form()).get("subdomain", "")).strip().lower()
    if not SUBDOMAIN.fullmatch(subdomain) or subdomain in desk.world.accounts:
        return to(request, "/", wrong="1")
    desk.open_account(subdomain, subdomain, Features())
    return to(request, "/")


async def add_chat(request: Request) -> Response:
    account, form = account_of(request), await request.form()
    name, origin = str(form.get("name", "")).strip(), str(form.get("origin", ""))
    if not name:
        return to(request, "/")
    desk = desk_of(request)
    chat = chats.open_chat(desk, account, chats.Customer(name, origin if origin in ORIGINS else "waba"))
    chats.announce_first_contact(desk, account, chat, None)
    return to(request, f"/chat/{account.subdomain}/{chat.id}")


async def show_chat(request: Request) -> Response:
    account, chat = chat_of(request)
    return render(
        request,
        "chat.html",
        account=describe.account(account),
        chat=describe.chat(account, chat),
        origin=ORIGINS.get(chat.origin, chat.origin),
        messages=[describe.message(account, message) for message in chat.messages],
    )


async def write(request: Request) -> Response:
    """Write as the customer or as the manager, whichever the path says."""
    account, chat = chat_of(request)
    text = str((await request.form()).get("text", "")).strip()
    if text and request.path_params["who"] == "customer":
        chats.customer_writes(desk_of(request), account, chat, [text])
    elif text:
        chats.manager_writes(desk_of(request), account, chat, text, account.main_user)
    return to(request, f"/chat/{account.subdomain}/{chat.id}")


async def close(request: Request) -> Response:
    account, chat = chat_of(request)
    chats.close_talk(desk_of(request), account, account.talks[chat.talk_id])
    return to(request, f"/chat/{account.subdomain}/{chat.id}")


async def static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise refusal(404, "no such file")
    return FileResponse(TEMPLATES / name, media_type=STATIC[name])


def _language(request: Request) -> str:
    language = request.query_params.get("lang", "ru")
    return language if language in TEXTS else "ru"


def to(request: Request, path: str, **query: str) -> Response:
    if _language(request) != "ru":
        query["lang"] = _language(request)
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


def render(request: Request, template: str, **values: object) -> Response:
    language = _language(request)
    page = _templates.get_template(template).render(
        t=TEXTS[language], lang=language, keep="" if language == "ru" else f"?lang={language}", **values
    )
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def _clock(at: float) -> str:
    """Return the moment for a `<time>`; the script turns it into the reader's own time."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


_templates.filters["clock"] = _clock

ROUTES = [
    Route("/", show_accounts, methods=["GET"]),
    Route("/accounts", add_account, methods=["POST"]),
    Route("/chats/{sub}", add_chat, methods=["POST"]),
    Route("/chat/{sub}/{chat}", show_chat, methods=["GET"]),
    Route("/chat/{sub}/{chat}/close", close, methods=["POST"]),
    Route("/chat/{sub}/{chat}/{who}", write, methods=["POST"]),
    Route("/static/{name}", static, methods=["GET"]),
]
