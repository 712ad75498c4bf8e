"""The template environment: one for all languages, the reader travels in a context variable."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.runtime import Macro

from gptagent.kernel.text import render_markdown
from gptagent.ui.assets import Assets
from gptagent.ui.formats import FILTERS
from gptagent.ui.parts import COMPONENTS, UI
from gptagent.ui.view import View, current_view

_MACRO = re.compile(r"{%-? *macro +(\w+)")


class _I18nEnvironment(Protocol):
    """What `jinja2.ext.i18n` adds to an environment; the package does not declare it."""

    def install_gettext_callables(
        self, gettext: object, ngettext: object, *, newstyle: bool, pgettext: object, npgettext: object
    ) -> None: ...


def build_environment(
    template_dirs: Mapping[str, Path], assets: Assets, *, reload: bool = False
) -> Environment:
    """Return the environment for all pages.

    `template_dirs` maps a feature's name to its folder, so that its pages are called `agents/list.html`; the
    parts of this package are `ui/...`. All macros are in the global `ui`. `reload` reads changed files again.
    """
    loaders = {name: FileSystemLoader(folder) for name, folder in template_dirs.items()}
    env = Environment(
        loader=PrefixLoader({**loaders, "ui": FileSystemLoader(UI)}),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=reload,
        cache_size=-1,
    )
    env.filters.update(FILTERS)
    env.filters["markdown"] = render_markdown
    env.globals.update(asset=assets.url, csrf_token=lambda: current_view.get().csrf_token)
    _install_gettext(env)
    _install_icons(env, assets)
    _install_macros(env)
    return env


def render(env: Environment, name: str, view: View, /, **context: object) -> str:
    """Render the page or fragment `name` for one reader, who is `view` in the template."""
    with reading(view):
        return env.get_template(name).render(context, view=view)


def render_block(env: Environment, name: str, block: str, view: View, **context: object) -> str:
    """Render one block of a page, for an htmx answer. A `set` at the top of the page does not reach it."""
    template = env.get_template(name)
    with reading(view):
        return "".join(template.blocks[block](template.new_context({**context, "view": view})))


@contextmanager
def reading(view: View) -> Iterator[None]:
    """Make `view` the reader for filters and translations used outside a template."""
    token = current_view.set(view)
    try:
        yield
    finally:
        current_view.reset(token)


def _install_gettext(env: Environment) -> None:
    cast("_I18nEnvironment", env).install_gettext_callables(
        _translated("gettext"),
        _translated("ngettext"),
        newstyle=True,
        pgettext=_translated("pgettext"),
        npgettext=_translated("npgettext"),
    )


def _translated(method: str) -> Callable[..., str]:
    def translate(*args: str | int) -> str:
        return str(getattr(current_view.get().catalog, method)(*args))

    return translate


def _install_icons(env: Environment, assets: Assets) -> None:
    sprite = assets.url("icons.svg")

    def icon_href(name: str) -> str:
        if name not in assets.icons:
            raise LookupError(f"no icon '{name}' in ui/icons/icons.svg")
        return f"{sprite}#i-{name}"

    env.globals["icon_href"] = icon_href


def _install_macros(env: Environment) -> None:
    macros = _Macros(env)
    env.globals["ui"] = macros
    env.globals["icon"] = macros.icon


class _Macros:
    """All macros by name; a file is compiled when one of its macros is first called."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._homes: dict[str, str] = {}
        for name in COMPONENTS:
            path = f"components/{name}/{name}.html"
            if (UI / path).exists():
                found = _MACRO.findall((UI / path).read_text())
                self._homes |= dict.fromkeys(found, f"ui/{path}")

    def __getattr__(self, name: str) -> Macro:
        """Called for what is not there yet."""
        if name not in self._homes:
            raise AttributeError(name)
        exported = vars(self._env.get_template(self._homes[name]).module)
        vars(self).update({key: value for key, value in exported.items() if isinstance(value, Macro)})
        found: Macro = vars(self)[name]
        return found
