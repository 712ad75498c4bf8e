"""The pages of the web process: what exists, the frame around it, and the few routes of no feature."""

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount

from gptagent.bootstrap import Platform
from gptagent.entrypoints.admin_shell import ADMIN, TITLE, facts_of, load_admin_shell
from gptagent.entrypoints.error_pages import ErrorPages
from gptagent.features.admin.audit_web import AuditPages, PlatformAuditPages
from gptagent.features.admin.people_web import ImpersonationPages, PeoplePages
from gptagent.features.admin.web import KeyPages, OrganizationPages, OverviewPages
from gptagent.features.agents.asking import list_askers, name_agents
from gptagent.features.agents.editing import AgentEditor
from gptagent.features.agents.exchange.web import AgentExchangePages
from gptagent.features.agents.integrations.web import AgentIntegrationPages
from gptagent.features.agents.listing.web import AgentListPages
from gptagent.features.agents.versions.web import AgentVersionPages
from gptagent.features.agents.web import AgentPages
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions.reverting import Reverting
from gptagent.features.crm.actions.web import ChangesPages
from gptagent.features.crm.connecting.web import HEALTH, ConnectingPages, ConsentDoor, alerts_of
from gptagent.features.crm.deliveries.web import DeliveryPages
from gptagent.features.crm.replying.web import RepliesPages
from gptagent.features.crm.syncing.web import SyncPages
from gptagent.features.crm.web import ConnectionPages
from gptagent.features.dashboard.web import DashboardPages
from gptagent.features.dialog.acting.web import ProposalPages
from gptagent.features.dialog.drafts.web import ReplyDraftPages
from gptagent.features.dialog.handing.web import HandoffPages
from gptagent.features.dialog.inbox.desk import ToConversation
from gptagent.features.dialog.memory_web import MemoryPages
from gptagent.features.dialog.outgoing.web import ReplyPages
from gptagent.features.dialog.scenario_runs.web import ScenarioRunPages
from gptagent.features.dialog.scenarios.web import ScenarioPages
from gptagent.features.dialog.suggesting.web import SuggestionPages
from gptagent.features.dialog.tracing.web import ExplanationPages
from gptagent.features.dialog.trying.replay_web import ReplayPages
from gptagent.features.dialog.trying.web import TestChatPages
from gptagent.features.dialog.web import ConversationPages
from gptagent.features.identity import service as identity
from gptagent.features.identity.email_web import EmailPages
from gptagent.features.identity.model import Links, Person, RelyingParty
from gptagent.features.identity.recovery_web import RecoveryPages
from gptagent.features.inference.web import ModelPages
from gptagent.features.knowledge.agent_files.web import AgentFilePages
from gptagent.features.knowledge.articles.editor import ArticleEditor
from gptagent.features.knowledge.articles.web import ArticlePages
from gptagent.features.knowledge.attachments.web import ArticleFilePages
from gptagent.features.knowledge.categories.web import CategoryPages
from gptagent.features.knowledge.checks.web import CheckPages
from gptagent.features.knowledge.drafts.web import DraftPages
from gptagent.features.knowledge.exchange.web import ExchangePages
from gptagent.features.knowledge.facts.web import FactsPages
from gptagent.features.knowledge.gaps.web import GapPages
from gptagent.features.knowledge.graph.web import GraphPages
from gptagent.features.knowledge.measured.web import MeasuredPages, by_meaning, by_reranking
from gptagent.features.knowledge.questions.file_pages import QuestionFilePages
from gptagent.features.knowledge.questions.web import BenchPages
from gptagent.features.knowledge.scripts.web import ScriptPages
from gptagent.features.knowledge.sites.web import SitePages
from gptagent.features.knowledge.web import DocumentPages
from gptagent.features.organizations import policy
from gptagent.features.organizations.account.factors import FactorPages
from gptagent.features.organizations.account.guard import ACCOUNT, SECURITY, own_log_in
from gptagent.features.organizations.account.security import SecurityPages
from gptagent.features.organizations.account.web import ProfilePages
from gptagent.features.organizations.api_keys_web import ApiKeyPages
from gptagent.features.organizations.invitation_web import InvitationPages
from gptagent.features.organizations.login_steps import LoginSteps
from gptagent.features.organizations.members_web import MemberPages
from gptagent.features.organizations.model import Visitor, Workspace
from gptagent.features.organizations.service import Post
from gptagent.features.organizations.web import AuthPages, keep_language, local_path
from gptagent.features.organizations.workspace_web import WorkspacePages, show_lobby
from gptagent.features.privacy.web import PrivacyPages
from gptagent.features.sign_in.settings_web import ProviderPages
from gptagent.features.sign_in.web import SignInPages
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import QueryText, access_of, choice_of, csrf_checked, host_cookie, locale_of
from gptagent.kernel.i18n import LOCALES, translate
from gptagent.kernel.live import LiveHub, last_event_id
from gptagent.kernel.routing import add_routes, page_router
from gptagent.kernel.scope import PLATFORM_ID
from gptagent.ui.assets import Assets, build_assets
from gptagent.ui.templates import build_environment
from gptagent.ui.view import THEMES, NavItem, NavSection, Shell, TabSet, WorkspaceLink
from gptagent.ui.web import WORKSPACE_COOKIE, YEAR_SECONDS, Pages, words

FEATURES = Path(__file__).parent.parent / "features"
TEMPLATES = {
    name: FEATURES / name / "templates"
    for name in (
        "identity",
        "organizations",
        "sign_in",
        "inference",
        "knowledge",
        "agents",
        "crm",
        "dialog",
        "dashboard",
        "admin",
        "privacy",
    )
}
NAVIGATION = (
    NavSection(
        "",
        (
            NavItem("Dashboard", "/dashboard", "layout-dashboard", "/dashboard"),
            NavItem("Conversations", "/conversations", "inbox", "/conversations"),
        ),
    ),
    NavSection(
        "Agents",
        (
            NavItem("AI agents", "/ai-agents", "bot", "/ai-agents"),
            NavItem("Test chat", "/test-chat", "message-square-text", "/test-chat", needs=policy.EDIT_AGENTS),
            NavItem("Scenarios", "/scenarios", "circle-check", "/scenarios"),
        ),
    ),
    NavSection(
        "Knowledge base",
        (
            NavItem("Documents", "/knowledge-base", "library", "/knowledge-base"),
            NavItem("Sites", "/knowledge-sites", "link", "/knowledge-sites"),
            NavItem("Articles", "/knowledge-items", "book-open", "/knowledge-items"),
            NavItem("Categories", "/knowledge-categories", "folder", "/knowledge-categories"),
            NavItem("About the company", "/knowledge-facts", "info", "/knowledge-facts"),
            NavItem("Sales scripts", "/knowledge-scripts", "message-square-text", "/knowledge-scripts"),
            NavItem("Objections", "/knowledge-objections", "hand", "/knowledge-objections"),
            NavItem("Gaps", "/knowledge-gaps", "circle-question-mark", "/knowledge-gaps"),
            NavItem("Proposed articles", "/knowledge-drafts", "file-plus", "/knowledge-drafts"),
            NavItem("Contradictions", "/knowledge-checks", "triangle-alert", "/knowledge-checks"),
            NavItem("Test bench", "/knowledge-bench", "flask-conical", "/knowledge-bench"),
            NavItem("Graph", "/knowledge-graph", "columns-3", "/knowledge-graph"),
        ),
    ),
    NavSection("Connections", (NavItem("Kommo", "/integrations", "plug", "/integrations"),)),
    NavSection("", (NavItem("Settings", "/settings", "settings", "/settings"),)),
)
# Rows of tabs, by the address they begin with. A page in one extends ui/layouts/settings.html.
TABS = (
    TabSet(
        "Workspace settings",
        "/settings",
        (
            NavItem("General", "/settings", "", "/settings"),
            NavItem("Members", "/settings/members", "", "/settings/members"),
            NavItem("API keys", "/settings/api-keys", "", "/settings/api-keys", needs=policy.MANAGE_API_KEYS),
            NavItem("Sign-in", "/settings/sign-in", "", "/settings/sign-in", needs=policy.OWN_WORKSPACE),
            NavItem("AI models", "/settings/models", "", "/settings/models"),
            NavItem("Privacy", "/settings/privacy", "", "/settings/privacy", needs=policy.MANAGE_PRIVACY),
            NavItem("Audit", "/settings/audit", "", "/settings/audit", needs=policy.READ_AUDIT),
        ),
    ),
    TabSet(
        "Account settings",
        ACCOUNT,
        (
            NavItem("Your profile", ACCOUNT, "", ACCOUNT),
            NavItem("Security", SECURITY, "", SECURITY),
            NavItem("E-mail", f"{ACCOUNT}/email", "", f"{ACCOUNT}/email"),
            NavItem("Sign-in providers", f"{ACCOUNT}/sign-in", "", f"{ACCOUNT}/sign-in"),
            NavItem("Privacy", f"{ACCOUNT}/privacy", "", f"{ACCOUNT}/privacy"),
        ),
    ),
)
MAX_ID_DIGITS = 19  # of a bigint
DAY = "public, max-age=86400"


def add_pages(app: FastAPI, platform: Platform, hub: LiveHub) -> None:
    """Add every page, the assets, the live stream and the error page."""
    settings, db, keys = platform.settings, platform.db, platform.connecting.keys
    assets = build_assets()
    environment = build_environment(TEMPLATES, assets)
    environment.globals["has_embedder"] = lambda: settings.embedding_model is not None
    environment.globals["has_reranker"] = lambda: settings.reranker_model is not None
    pages = Pages(environment, shell_of(platform.links), settings.secure_cookies)
    party = RelyingParty.at(settings.base_url)
    threads = ConversationPages(db, pages, platform.inbox, platform.files)
    editor = ArticleEditor(db, pages)
    privacy = PrivacyPages(db, pages, platform.files, platform.login_limits)
    account = (
        ProfilePages(db, pages, platform.files).router(),
        SecurityPages(db, pages, platform.login_limits).router(),
        FactorPages(db, pages, platform.login_limits, party).router(),
        EmailPages(db, pages, platform.login_limits, platform.links).router(),
        privacy.account_router(),
    )
    features = (
        LoginSteps(db, pages, platform.login_limits, party).router(),
        AuthPages(
            db,
            pages,
            platform.login_limits,
            settings.open_registration,
            platform.links,
            platform.sign_in.button,
        ).router(),
        InvitationPages(db, pages, platform.login_limits, platform.links).router(),
        WorkspacePages(db, pages, settings.base_url).router(),
        MemberPages(db, pages, Post(platform.links, platform.login_limits)).router(),
        RecoveryPages(db, pages, platform.login_limits, platform.links).router(),
        SignInPages(platform.sign_in, pages, platform.login_limits).router(),
        ProviderPages(platform.sign_in, pages).router(),
        DashboardPages(db, pages, settings.llm_model).router(),
        AgentListPages(db, pages, settings.llm_model, platform.publish_condition).router(),
        AgentPages(db, pages).router(),
        AgentExchangePages(db, pages).router(),
        AgentEditor(db, pages, settings.llm_model, platform.publish_condition).router(),
        AgentIntegrationPages(db, pages, settings.llm_model).router(),
        AgentVersionPages(db, pages, settings.llm_model, platform.publish_condition).router(),
        DocumentPages(db, pages, platform.files).router(),
        AgentFilePages(db, pages, platform.files, list_askers).router(),
        SitePages(db, pages, platform.reading).router(),
        ExchangePages(db, pages).router(),
        ArticlePages(db, pages).router(),
        editor.router(),
        ArticleFilePages(db, pages, platform.files, editor).router(),
        CategoryPages(db, pages).router(),
        FactsPages(db, pages, list_askers).router(),
        ModelPages(db, pages, name_agents).router(),
        QuestionFilePages(db, pages).router(),
        BenchPages(db, pages, platform.understanding, list_askers, platform.reranking).router(),
        GapPages(db, pages).router(),
        DraftPages(db, pages).router(),
        CheckPages(db, pages).router(),
        GraphPages(db, pages).router(),
        MeasuredPages(db, pages, by_meaning(settings.embedding_model)).router(),
        MeasuredPages(db, pages, by_reranking(platform.reranking.model)).router(),
        ScriptPages(db, pages, "script").router(),
        ScriptPages(db, pages, "objection").router(),
        RepliesPages(db, pages, platform.crm, keys, settings.base_url, settings.sends_letters).router(),
        threads.router(),
        MemoryPages(threads).router(),
        ReplyDraftPages(threads).router(),
        ProposalPages(threads, settings.sends_letters).router(),
        ScenarioPages(db, pages, settings.llm_model).router(),
        ScenarioRunPages(db, pages).router(),
        ReplyPages(threads).router(),
        HandoffPages(threads).router(),
        SuggestionPages(threads).router(),
        ExplanationPages(db, pages).router(),
        ReplayPages(db, pages, platform.login_limits, settings.llm_model).router(),
        TestChatPages(db, pages, platform.login_limits, settings.llm_model).router(),
        DeliveryPages(db, pages).router(),
        ConnectingPages(platform.connecting, pages).router(),
        ConnectionPages(platform.connecting, pages).router(),
        ConsentDoor(platform.connecting, pages).router(),
        SyncPages(db, pages).router(),
        ChangesPages(Reverting(db, platform.crm, platform.vault), pages, ToConversation(threads)).router(),
        ApiKeyPages(db, pages).router(),
        AuditPages(db, pages, "admin/workspace_audit.html").router(),
        OverviewPages(db, pages, facts_of(settings)).router(),
        OrganizationPages(db, pages).router(),
        PeoplePages(db, pages, platform.links).router(),
        KeyPages(db, pages).router(),
        PlatformAuditPages(db, pages, "admin/audit.html").router(),
        ImpersonationPages(db, pages).router(),
        privacy.router(),
        ShellRoutes(db, pages, hub, assets).router(),
    )
    for router in account:
        add_routes(app, router, dependencies=[Depends(csrf_checked), Depends(own_log_in)], is_described=False)
    for router in features:
        add_routes(app, router, dependencies=[Depends(csrf_checked)], is_described=False)
    app.router.routes.extend(ConsentDoor(platform.connecting, pages).routes())
    app.router.routes.append(Mount(assets.prefix, assets))
    app.state.error_page = ErrorPages(pages)


def shell_of(links: Links) -> Callable[[Request, Session], Awaitable[Shell]]:
    """Return what reads the frame of a page; it asks for a confirmed address where letters are sent."""

    async def load(request: Request, session: Session) -> Shell:
        return await load_shell(request, session, links)

    return load


async def load_shell(request: Request, session: Session, links: Links) -> Shell:
    """Read the frame around a workspace's page: few questions, in the page's own transaction."""
    if access_of(request).scope.org_id == PLATFORM_ID:
        return await load_admin_shell(request, session, translate(locale_of(request), TITLE))
    workspace: Workspace = request.state.workspace
    visitor: Visitor = request.state.visitor
    person = await identity.get_person(session, visitor.session.person_id)
    access = access_of(request)
    permissions = frozenset() if access.is_held else access.scope.permissions
    may_mend = policy.MANAGE_CONNECTIONS in permissions
    return Shell(
        base=workspace.path,
        path=request.url.path,
        workspace=workspace.name,
        person_name=person.full_name,
        given_name=person.given_name,
        person_email=person.email,
        navigation=() if access.is_held else _navigation(permissions),
        workspaces=tuple(
            WorkspaceLink(
                one.name,
                f"{one.path}/dashboard",
                current=one.number == workspace.number,
                detail=f"{one.number}-{one.slug}",
            )
            for one in visitor.workspaces
        ),
        live_url="" if access.is_held else f"{workspace.path}/live",
        live_cursor=str(await last_event_id(session)),
        admin_href=ADMIN if person.is_platform_admin and _is_own(visitor) else "",
        account_href=f"{workspace.path}{ACCOUNT}",
        person_picture=_picture(workspace, person),
        tabs=_tabs(request, workspace),
        delete_at=workspace.delete_at,
        may_keep=policy.OWN_WORKSPACE in permissions,
        create_href="" if visitor.session.workspace_id else "/workspaces/create",
        asks_to_verify=links.sends_letters and not person.is_verified and not access.is_held,
        alerts=alerts_of(await crm.list_broken(session), workspace.path) if may_mend else (),
        alerts_url=f"{workspace.path}/integrations/banner" if may_mend else "",
        alerts_topic=HEALTH,
    )


def _is_own(visitor: Visitor) -> bool:
    """Whether the log-in reaches as far as its person: nobody else has a hand in it."""
    return visitor.session.impersonator_id is None and visitor.session.workspace_id is None


def _picture(workspace: Workspace, person: Person) -> str:
    """Return the address of the person's picture; it changes with the picture, so browsers may keep it."""
    if person.avatar_key is None:
        return ""
    return f"{workspace.path}{ACCOUNT}/avatar?of={person.avatar_key.rpartition('-')[2]}"


def _navigation(permissions: AbstractSet[str]) -> tuple[NavSection, ...]:
    """Return the sections of the sidebar with what a reader with these rights may open."""
    shown = (
        NavSection(
            section.title, tuple(one for one in section.items if not one.needs or one.needs in permissions)
        )
        for section in NAVIGATION
    )
    return tuple(section for section in shown if section.items)


def _tabs(request: Request, workspace: Workspace) -> TabSet | None:
    """Return the row of tabs the page belongs to, without what its reader may not open."""
    rest = request.url.path.removeprefix(workspace.path)
    permissions = access_of(request).scope.permissions
    for tabs in TABS:
        if rest == tabs.prefix or rest.startswith(tabs.prefix + "/"):
            shown = tabs.for_rights(permissions)
            return replace(shown, items=()) if access_of(request).is_held else shown
    return None


@dataclass(frozen=True, slots=True)
class ShellRoutes:
    """What belongs to the frame and not to a feature."""

    db: Database
    pages: Pages
    hub: LiveHub
    assets: Assets

    def router(self) -> APIRouter:
        router = page_router()
        router.get("/")(self.start)
        router.get("/favicon.ico")(self.favicon)
        router.get("/manage")(self.manage)
        router.get("/manage/{workspace}")(self.workspace)
        router.get("/manage/{workspace}/live")(self.live)
        router.post("/preferences/theme")(self.theme)
        router.post("/preferences/language")(self.language)
        return router

    async def start(self, request: Request) -> Response:
        return RedirectResponse("/manage" if request.state.visitor else "/login", 303)

    async def favicon(self) -> Response:
        """Answer browsers that ask for it without reading the page."""
        return RedirectResponse(self.assets.url("favicon.svg"), 302, {"cache-control": DAY})

    async def manage(self, request: Request) -> Response:
        """Lead to the workspace used last, or the first one."""
        visitor: Visitor = request.state.visitor
        if not visitor.workspaces:
            return show_lobby(self.pages, request)
        last = choice_of(request.cookies, WORKSPACE_COOKIE)
        chosen = next((one for one in visitor.workspaces if str(one.number) == last), visitor.workspaces[0])
        return RedirectResponse(f"{chosen.path}/dashboard", 303)

    async def workspace(self, request: Request) -> Response:
        chosen: Workspace = request.state.workspace
        return RedirectResponse(f"{chosen.path}/dashboard", 303)

    async def live(self, request: Request, topics: QueryText = "", last: str = "") -> Response:
        """Stream what changes in this workspace; `last` is the id of the last event the page knows."""
        heard = request.headers.get("last-event-id") or last
        events = self.hub.stream(
            access_of(request).scope,
            topics.split(","),
            int(heard) if heard.isdecimal() and len(heard) < MAX_ID_DIGITS else None,
            request.state.visitor.session.id,
        )
        return StreamingResponse(
            events,
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def theme(self, request: Request) -> Response:
        wanted = words(await request.form(), "theme")
        response = self.pages.redirect(_back(request))
        if wanted in THEMES:
            name = host_cookie("theme", secure=self.pages.secure)
            response.set_cookie(name, wanted, YEAR_SECONDS, secure=self.pages.secure, samesite="lax")
        return response

    async def language(self, request: Request) -> Response:
        """Remember the language in the browser, and for the person if somebody is logged in."""
        wanted = words(await request.form(), "language")
        response = self.pages.redirect(_back(request))
        if wanted not in LOCALES:
            return response
        keep_language(response, wanted, secure=self.pages.secure)
        visitor: Visitor | None = request.state.visitor
        if visitor is not None and visitor.session.impersonator_id is None:
            async with self.db.installation(visitor.session.person_id) as session:
                await identity.set_locale(session, visitor.session.person_id, wanted)
        return response


def _back(request: Request) -> str:
    """Return the path of the page the form was on."""
    came = urlsplit(request.headers.get("referer", ""))
    return local_path(came.path + (f"?{came.query}" if came.query else ""))
