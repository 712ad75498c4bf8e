"""The pages of the interface as the tests read them."""

from datetime import UTC, datetime, timedelta
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment

from gptagent.kernel.i18n import translations
from gptagent.ui.assets import Assets, build_assets
from gptagent.ui.templates import build_environment, reading, render
from gptagent.ui.view import NavItem, NavSection, Preferences, Shell, View, WorkspaceLink

SOURCE = Path(__file__).parents[2] / "src" / "gptagent"
TEMPLATES = sorted(SOURCE.rglob("*.html"))
NOW = datetime(2026, 11, 20, 11, 31, tzinfo=UTC)

NAVIGATION = (
    NavSection("", (NavItem("Dashboard", "/dashboard", "layout-dashboard", "/dashboard"),)),
    NavSection("Agents", (NavItem("Agents", "/ai-agents", "bot", "/ai-agents"),)),
)
SHELL = Shell(
    base="/manage/1-lines",
    path="/manage/1-lines/ai-agents/7/edit",
    workspace="Lines <b>",
    person_name="Anna Kovaleva",
    person_email="anna@linia.example",
    navigation=NAVIGATION,
    workspaces=(
        WorkspaceLink("Lines <b>", "/manage/1-lines", current=True),
        WorkspaceLink("Two", "/manage/2-two"),
    ),
    counts={"/dashboard": 4},
    live_cursor="17",
)


@cache
def assets() -> Assets:
    return build_assets()


@cache
def environment() -> Environment:
    return build_environment({}, assets())


@cache
def catalog(language: str) -> NullTranslations:
    """The product's catalogue with the texts of the style guide in front of it."""
    if language != "ru":
        return NullTranslations()
    compiled = BytesIO()
    with (Path(__file__).parent / "styleguide_ru.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale="ru"))
    guide = GNUTranslations(BytesIO(compiled.getvalue()))
    guide.add_fallback(translations("ru"))
    return guide


def view(language: str = "ru", **cookies: str) -> View:
    return View(
        language=language,
        catalog=catalog(language),
        now=NOW,
        timezone=ZoneInfo("Europe/Moscow"),
        csrf_token="token-1",
        preferences=Preferences.from_cookies(cookies),
    )


def styleguide(language: str = "ru", **cookies: str) -> str:
    earlier = NOW - timedelta(days=1, hours=2)
    return render(
        environment(), "ui/styleguide.html", view(language, **cookies), shell=SHELL, earlier=earlier
    )


def fragment(source: str, language: str = "ru") -> str:
    """Render a piece of template text for one reader."""
    with reading(view(language)):
        return environment().from_string(source).render()
