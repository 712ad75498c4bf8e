"""The frame around the pages of the platform's administration."""

from starlette.requests import Request

from gptagent import __version__
from gptagent.features.admin.model import Installation
from gptagent.features.identity import service as identity
from gptagent.features.organizations.model import Visitor
from gptagent.kernel.db import Session
from gptagent.kernel.settings import Settings
from gptagent.ui.view import NavItem, NavSection, Shell, WorkspaceLink

ADMIN = "/admin"
TITLE = "Administration"
NAVIGATION = (
    NavSection(
        "",
        (
            NavItem("Installation", "/dashboard", "layout-dashboard", "/dashboard"),
            NavItem("Workspaces", "/organizations", "folder", "/organizations"),
            NavItem("People", "/people", "hand", "/people"),
            NavItem("Audit", "/audit", "file-text", "/audit"),
            NavItem("Keys of the platform", "/keys", "plug", "/keys"),
        ),
    ),
)
# What an operator may want to know is set. Of each only that it is, never what it is.
SHOWN_SETTINGS = (
    "database_url",
    "redis_url",
    "secret_keys",
    "metrics_token",
    "llm_model",
    "files_url",
    "registration",
    "egress_allow",
)


async def load_admin_shell(request: Request, session: Session, title: str) -> Shell:
    """Read the frame: the administrator's own name, and the ways back to their workspaces."""
    visitor: Visitor = request.state.visitor
    person = await identity.get_person(session, visitor.session.person_id)
    own = tuple(WorkspaceLink(one.name, f"{one.path}/dashboard") for one in visitor.workspaces)
    return Shell(
        base=ADMIN,
        path=request.url.path,
        workspace=title,
        person_name=person.full_name,
        person_email=person.email,
        navigation=NAVIGATION,
        workspaces=(WorkspaceLink(title, f"{ADMIN}/dashboard", current=True), *own),
    )


def facts_of(settings: Settings) -> Installation:
    return Installation(
        version=__version__,
        environment=settings.app_env,
        public_address=settings.base_url,
        settings={name.upper(): getattr(settings, name) not in {None, ""} for name in SHOWN_SETTINGS},
    )
