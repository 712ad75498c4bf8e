"""The web process: REST, pages, webhooks, live events, health."""

import asyncio
import hmac
import signal
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import FrameType

import structlog
from fastapi import APIRouter, Depends, FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gptagent import __version__
from gptagent.bootstrap import Platform, app_dsn, build_platform
from gptagent.entrypoints.admin_shell import facts_of
from gptagent.entrypoints.authentication import Authenticator
from gptagent.entrypoints.description import install_description, operation_id
from gptagent.entrypoints.docs import Docs
from gptagent.entrypoints.middleware import Cors, Gate, HttpsOnly, Limits, RequestEdge
from gptagent.entrypoints.pages import add_pages
from gptagent.entrypoints.request_limits import RequestLimits
from gptagent.entrypoints.sole import SoleWeb
from gptagent.features.admin.api import AdminApi
from gptagent.features.admin.audit_api import AuditApi, PlatformAuditApi
from gptagent.features.admin.people_api import PeopleApi
from gptagent.features.agents.api import AgentsApi
from gptagent.features.agents.asking import list_askers
from gptagent.features.agents.exchange.api import AgentExchangeApi
from gptagent.features.agents.versions.api import AgentVersionsApi
from gptagent.features.conversations.memory.api import MemoryApi
from gptagent.features.crm.actions.api import ActionsApi
from gptagent.features.crm.actions.journal_api import JournalApi
from gptagent.features.crm.actions.reverting import Reverting
from gptagent.features.crm.api import ConnectionsApi, WebhookDoor
from gptagent.features.crm.connecting.api import IntegrationsApi
from gptagent.features.crm.deliveries.api import DeliveriesApi
from gptagent.features.crm.limiter import FAILURES_UNTIL_OPEN
from gptagent.features.crm.mirror.api import MirrorApi
from gptagent.features.crm.replying.api import RepliesApi
from gptagent.features.crm.replying.widget import WidgetDoor
from gptagent.features.crm.syncing.api import SyncsApi
from gptagent.features.dialog.acting.api import ProposalsApi
from gptagent.features.dialog.api import ConversationsApi
from gptagent.features.dialog.drafts.api import ReplyDraftsApi
from gptagent.features.dialog.handing.api import HandoffsApi
from gptagent.features.dialog.outgoing.api import HumanRepliesApi
from gptagent.features.dialog.scenario_runs.api import ScenarioRunsApi
from gptagent.features.dialog.scenarios.api import ConditionApi, ScenariosApi
from gptagent.features.dialog.suggesting.api import SuggestionsApi
from gptagent.features.dialog.tracing.api import ExplanationsApi
from gptagent.features.dialog.trying.api import ReplaysApi, TestChatsApi
from gptagent.features.identity.model import RelyingParty
from gptagent.features.identity.recovery_api import RecoveryApi
from gptagent.features.inference import api as inference_api
from gptagent.features.inference import service as inference
from gptagent.features.knowledge.agent_files.api import AgentFilesApi
from gptagent.features.knowledge.api import DocumentsApi
from gptagent.features.knowledge.articles.api import ArticlesApi
from gptagent.features.knowledge.attachments.api import ArticleFilesApi
from gptagent.features.knowledge.categories.api import CategoriesApi
from gptagent.features.knowledge.checks.api import ChecksApi
from gptagent.features.knowledge.drafts.api import DraftsApi
from gptagent.features.knowledge.exchange.api import ExchangeApi
from gptagent.features.knowledge.facts.api import FactsApi
from gptagent.features.knowledge.gaps.api import GapsApi
from gptagent.features.knowledge.graph.api import GraphApi
from gptagent.features.knowledge.questions.api import QuestionsApi, RunsApi
from gptagent.features.knowledge.quota.api import UsageApi
from gptagent.features.knowledge.reranking.api import RerankingApi
from gptagent.features.knowledge.scripts.api import ScriptsApi
from gptagent.features.knowledge.sites.api import SitesApi
from gptagent.features.knowledge.vectors.api import VectorsApi
from gptagent.features.organizations.account.api import AccountApi
from gptagent.features.organizations.account.guard import own_log_in
from gptagent.features.organizations.api import AuthApi
from gptagent.features.organizations.api_keys_api import ApiKeysApi
from gptagent.features.organizations.service import Post
from gptagent.features.organizations.workspace_api import InvitationsApi, MembersApi, WorkspacesApi
from gptagent.features.privacy.api import PrivacyApi
from gptagent.features.sign_in.api import LinkedApi, ProvidersApi
from gptagent.kernel import installation, observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import AppError, NotFound
from gptagent.kernel.http import PatternRoute, install_problems
from gptagent.kernel.i18n import translate
from gptagent.kernel.idempotency import Answers
from gptagent.kernel.live import LiveHub
from gptagent.kernel.routing import add_routes
from gptagent.kernel.settings import Settings

log = structlog.get_logger(__name__)

GZIP_MIN_BYTES = 500
GZIP_LEVEL = 5
SECURITY_TXT_LIFE = timedelta(days=30)
OVERDUE_AFTER = timedelta(seconds=30)


class LazyWeb:
    """The application, built when the server starts: the database pool belongs to the server's event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            try:
                self._app = await self._build()
            except AppError as error:
                # What an operator can mend is one sentence, not a traceback (ASGI lifespan protocol).
                await receive()
                sentence = translate("en", error.message, **error.params)
                await send({"type": "lifespan.startup.failed", "message": sentence})
                return
        await self._app(scope, receive, send)

    async def _build(self) -> FastAPI:
        sole = None
        if self._settings.redis_url is None:
            sole = SoleWeb(app_dsn(self._settings))
            await sole.acquire()
        return build_web(await build_platform(self._settings), sole)


def build_web(platform: Platform, sole: SoleWeb | None = None) -> FastAPI:
    """Return the application. The platform is closed when the server stops."""
    hub = LiveHub(platform.db)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(hub.run()), asyncio.create_task(hub.watch())]
        if sole is not None:
            tasks.append(asyncio.create_task(sole.keep()))
        _close_streams_on_signal(hub)
        yield
        hub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if sole is not None:
            sole.release()
        await platform.close()

    app = FastAPI(
        title="GPT Agent",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # such a redirect would go to whatever host the request names
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
    )
    settings = platform.settings
    authenticator = Authenticator(platform.db, settings, platform.tokens)
    app.add_middleware(Limits)
    requests = RequestLimits(platform.limiter)
    app.add_middleware(
        Gate, authenticator=authenticator, limits=requests
    )  # before Limits: a stranger's request is not judged
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_MIN_BYTES, compresslevel=GZIP_LEVEL)
    app.add_middleware(Cors, origins=settings.allowed_origins)
    if settings.production:
        app.add_middleware(HttpsOnly, base_url=settings.base_url)
    app.add_middleware(RequestEdge, https=settings.secure_cookies)
    install_problems(app)
    app.state.answers = Answers(platform.db)
    _add_api(app, platform)
    app.router.routes.extend(Docs().routes())
    _add_operations(app, platform)
    add_pages(app, platform, hub)
    install_description(app)
    return app


def _close_streams_on_signal(hub: LiveHub) -> None:
    """End open event streams as soon as the server is told to stop: it waits for them otherwise."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(number)

        def stop(received: int, frame: FrameType | None, after: object = servers_own) -> None:
            loop.call_soon_threadsafe(hub.close)
            if callable(after):
                after(received, frame)

        signal.signal(number, stop)


def _add_api(app: FastAPI, platform: Platform) -> None:
    settings = platform.settings
    party = RelyingParty.at(settings.base_url)
    add_routes(
        app,
        AuthApi(
            platform.db,
            platform.tokens,
            platform.login_limits,
            settings.open_registration,
            platform.links,
            party,
        ).router(),
    )
    add_routes(app, WorkspacesApi(platform.db).router())
    add_routes(app, MembersApi(platform.db).router())
    add_routes(app, InvitationsApi(platform.db, Post(platform.links, platform.login_limits)).router())
    privacy, privacy_of_person = PrivacyApi(platform.db, platform.files, platform.login_limits).routers()
    for account in (
        AccountApi(platform.db, platform.files, platform.login_limits, party).router(),
        RecoveryApi(platform.db, platform.login_limits, platform.links).router(),
        LinkedApi(platform.sign_in).router(),
        privacy_of_person,
    ):
        add_routes(app, account, dependencies=[Depends(own_log_in)])
    keys = platform.connecting.keys
    add_routes(app, ApiKeysApi(platform.db).router())
    add_routes(app, ProvidersApi(platform.sign_in).router())
    for agents in (
        AgentsApi(platform.db, settings.llm_model, platform.publish_condition).router(),
        AgentExchangeApi(platform.db).router(),
        AgentVersionsApi(platform.db, platform.publish_condition).router(),
    ):
        add_routes(app, agents)
    _include(app, inference_api.routers(platform.db))
    _add_knowledge_api(app, platform)
    add_routes(app, DeliveriesApi(platform.db).router())
    add_routes(app, ConnectionsApi(platform.connecting).router())
    _include(app, IntegrationsApi(platform.connecting).routers())
    add_routes(app, SyncsApi(platform.db).router())
    add_routes(app, MirrorApi(platform.db).router())
    add_routes(app, ActionsApi(platform.db, settings.sends_letters).router())
    add_routes(app, JournalApi(Reverting(platform.db, platform.crm, platform.vault)).router())
    replies = RepliesApi(platform.db, platform.crm, keys, settings.base_url, settings.sends_letters)
    add_routes(app, replies.router())
    add_routes(app, MemoryApi(platform.db).router())
    _add_conversations(app, platform)
    add_routes(app, AuditApi(platform.db).router())
    add_routes(app, PlatformAuditApi(platform.db).router())
    add_routes(app, AdminApi(platform.db, facts_of(settings)).router())
    add_routes(app, PeopleApi(platform.db, platform.tokens, platform.links).router())
    add_routes(app, privacy)
    widget = WidgetDoor(platform.db, platform.crm, keys, settings.base_url, settings.hook_networks)
    app.router.routes.append(widget.route())  # its path would fit the door below as well
    door = WebhookDoor(platform.db, platform.crm, platform.subscribers, settings.hook_networks)
    app.router.routes.append(door.route())


def _include(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    for one in routers:
        add_routes(app, one)


def _add_knowledge_api(app: FastAPI, platform: Platform) -> None:
    add_routes(app, ExchangeApi(platform.db).router())
    add_routes(app, ArticlesApi(platform.db).router())
    add_routes(app, ArticleFilesApi(platform.db, platform.files).router())
    add_routes(app, CategoriesApi(platform.db).router())
    add_routes(app, FactsApi(platform.db, list_askers).router())
    add_routes(
        app, QuestionsApi(platform.db, platform.understanding, list_askers, platform.reranking).router()
    )
    add_routes(app, RunsApi(platform.db).router())
    add_routes(app, GapsApi(platform.db).router())
    add_routes(app, DraftsApi(platform.db).router())
    add_routes(app, ChecksApi(platform.db).router())
    add_routes(app, GraphApi(platform.db).router())
    add_routes(app, VectorsApi(platform.db, platform.settings.embedding_model).router())
    add_routes(app, RerankingApi(platform.db, platform.reranking.model).router())
    add_routes(app, UsageApi(platform.db).router())
    add_routes(app, ScriptsApi(platform.db, "script").router())
    add_routes(app, ScriptsApi(platform.db, "objection").router())
    add_routes(app, DocumentsApi(platform.db, platform.files).router())
    add_routes(app, AgentFilesApi(platform.db, platform.files, list_askers).router())
    add_routes(app, SitesApi(platform.db, platform.reading).router())


def _add_conversations(app: FastAPI, platform: Platform) -> None:
    add_routes(app, ConversationsApi(platform.db, platform.inbox, platform.files).router())
    add_routes(app, ReplyDraftsApi(platform.db).router())
    add_routes(app, HumanRepliesApi(platform.db).router())
    add_routes(app, ExplanationsApi(platform.db).router())
    add_routes(app, ProposalsApi(platform.db, platform.settings.sends_letters).router())
    add_routes(app, HandoffsApi(platform.db).router())
    add_routes(app, SuggestionsApi(platform.db).router())
    add_routes(app, ReplaysApi(platform.db, platform.login_limits).router())
    add_routes(app, TestChatsApi(platform.db, platform.login_limits).router())
    add_routes(app, ScenariosApi(platform.db).router())
    add_routes(app, ScenarioRunsApi(platform.db).router())
    add_routes(app, ConditionApi(platform.db).router())


def _add_operations(app: FastAPI, platform: Platform) -> None:
    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_request: Request) -> Response:
        return await _readiness(platform)

    async def metrics(request: Request) -> Response:
        token = platform.settings.metrics_token
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token is None or not hmac.compare_digest(token.get_secret_value().encode(), given.encode()):
            return PlainTextResponse("Set METRICS_TOKEN and send it as a bearer token.\n", 401)
        await _measure_queue(platform)
        return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)

    async def security_txt(_request: Request) -> Response:
        if platform.settings.security_contact is None:
            raise NotFound
        return PlainTextResponse(_security_txt(platform.settings, utcnow()))

    for path, answer in (
        ("/health/live", live),
        ("/health/ready", ready),
        ("/metrics", metrics),
        ("/.well-known/security.txt", security_txt),
    ):
        app.router.routes.append(PatternRoute(path, answer))


async def _readiness(platform: Platform) -> Response:
    try:
        async with platform.db.installation() as session:
            resting = await inference.resting_models(session)
    except AppError as error:
        return JSONResponse({"status": "not ready", "database": error.code}, 503, {"Retry-After": "2"})
    troubles = {}
    if platform.limiter.is_degraded:  # it serves; each process counts for itself
        troubles["redis"] = "redis_unavailable"
    if resting:  # agents quote the knowledge base, or the fallback model answers
        troubles["model"] = "llm_circuit_open"
    return JSONResponse({"status": "degraded" if troubles else "ready", **troubles})


def _security_txt(settings: Settings, now: datetime) -> str:
    """Return whom to tell about a hole (RFC 9116). It is good as long as it is served, so it ends soon."""
    expires = (now + SECURITY_TXT_LIFE).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        f"Contact: {settings.security_contact}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en, ru",
    ]
    if settings.secure_cookies:
        lines.append(f"Canonical: {settings.base_url}/.well-known/security.txt")
    return "\n".join(lines) + "\n"


async def _measure_queue(platform: Platform) -> None:
    async with platform.db.installation() as session:
        depths = await installation.queue_depths(session)
        overdue = await installation.count_overdue_lanes(session, OVERDUE_AFTER)
        circuits = await installation.count_open_circuits(session, FAILURES_UNTIL_OPEN)
        resting = await inference.resting_models(session)
    for state in ("queued", "picked", "failed"):
        observe.QUEUE_JOBS.labels(state).set(depths.get(state, 0))
    observe.LANES_OVERDUE.set(overdue)
    observe.CRM_CIRCUITS_OPEN.set(circuits)
    observe.LLM_CIRCUITS_OPEN.set(len(resting))


def _registry() -> CollectorRegistry:
    """Join the numbers of all processes of this home (they share a folder of counters)."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
