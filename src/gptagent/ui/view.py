"""What a page knows about its reader, and the shell around the page."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Literal, Protocol, get_args

from gptagent.kernel.http import choice_of

Theme = Literal["light", "dark", "system"]
Tone = Literal["success", "danger", "warning", "info"]
THEMES: tuple[Theme, ...] = get_args(Theme)


class Catalog(Protocol):
    """The part of `gettext.NullTranslations` that templates use."""

    def gettext(self, message: str, /) -> str: ...
    def ngettext(self, msgid1: str, msgid2: str, n: int, /) -> str: ...
    def pgettext(self, context: str, message: str, /) -> str: ...
    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the browser remembers between pages, in cookies that the page's scripts write too."""

    theme: Theme = "system"
    sidebar_mini: bool = False
    closed_sections: frozenset[str] = frozenset()

    @classmethod
    def from_cookies(cls, cookies: Mapping[str, str]) -> "Preferences":
        """Read `theme`, `sidebar` and `nav_closed`; anything unknown counts as not set."""
        theme: Theme = next((known for known in THEMES if known == choice_of(cookies, "theme")), "system")
        closed = frozenset(filter(None, choice_of(cookies, "nav_closed").split(".")))
        return cls(theme, choice_of(cookies, "sidebar") == "mini", closed)


@dataclass(frozen=True, slots=True)
class Flash:
    """A message for the next page, already in the reader's language."""

    tone: Tone
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The reader of one page. `now` and all times shown are in `timezone`."""

    language: str
    catalog: Catalog
    now: datetime
    timezone: tzinfo = UTC
    csrf_token: str = ""
    preferences: Preferences = Preferences()
    flashes: tuple[Flash, ...] = ()
    impersonates: bool = False


@dataclass(frozen=True, slots=True)
class NavItem:
    """`label` is an English msgid; `href` and `active_prefix` are relative to the workspace's address.

    `needs` is the right without which it is not shown; empty for everybody.
    """

    label: str
    href: str
    icon: str
    active_prefix: str
    needs: str = ""


@dataclass(frozen=True, slots=True)
class NavSection:
    """A folding group of the sidebar; an empty `title` makes a plain list."""

    title: str
    items: tuple[NavItem, ...]


@dataclass(frozen=True, slots=True)
class TabSet:
    """Pages that share a row of tabs. `title` is an English msgid; items need no icon."""

    title: str
    prefix: str
    items: tuple[NavItem, ...]

    def for_rights(self, permissions: AbstractSet[str]) -> "TabSet":
        """Return what a reader with these rights may open."""
        return replace(
            self, items=tuple(one for one in self.items if not one.needs or one.needs in permissions)
        )


@dataclass(frozen=True, slots=True)
class WorkspaceLink:
    """`detail` tells workspaces of the same name apart."""

    name: str
    href: str
    current: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that does not work and that the reader can mend. `text` is an English msgid."""

    title: str
    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame around a page of a workspace.

    `base` is the workspace's address without a slash at the end, `path` the address asked for. `live_cursor`
    is the id of the last live event when the page was drawn, so that nothing is lost until it connects.
    `counts` holds the number shown beside a navigation item, by its `href`. `delete_at`: when the workspace
    will be deleted, if an owner asked for that; `may_keep`: whether the reader may take that back.
    `asks_to_verify`: the person has not followed the link sent to their address. `given_name` is how they are
    greeted. `alerts` are shown on every page and fetched again from `alerts_url` when `alerts_topic` reports
    something; no address: no alerts.
    """

    base: str
    path: str
    workspace: str
    person_name: str
    person_email: str
    navigation: tuple[NavSection, ...]
    workspaces: tuple[WorkspaceLink, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    live_url: str = "/live"
    live_cursor: str = ""
    account_href: str = ""
    admin_href: str = ""
    person_picture: str = ""
    logout_action: str = "/logout"
    tabs: TabSet | None = None
    delete_at: datetime | None = None
    may_keep: bool = False
    create_href: str = ""
    asks_to_verify: bool = False
    alerts: tuple[Alert, ...] = ()
    alerts_url: str = ""
    alerts_topic: str = ""
    given_name: str = ""

    @property
    def tabs_title(self) -> str:
        return self.tabs.title if self.tabs else ""

    def tab_items(self, translate: Callable[[str], str]) -> list[tuple[str, str, bool]]:
        """Return label, address and whether it is open, for each tab. The longest matching prefix is open."""
        items = self.tabs.items if self.tabs else ()
        active = [item for item in items if self.is_active(item)]
        current = max(active, key=lambda item: len(item.active_prefix), default=None)
        return [(translate(item.label), self.base + item.href, item is current) for item in items]

    def is_active(self, item: NavItem) -> bool:
        prefix = self.base + item.active_prefix
        return self.path == prefix or self.path.startswith(prefix + "/")


current_view: ContextVar[View] = ContextVar("current_view")
