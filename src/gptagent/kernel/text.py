"""Markdown to safe HTML. The only place where markup is declared safe."""

from functools import cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
# No images: a remote one would tell its server who reads what.
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render_markdown(source: str) -> Markup:
    """Render, then sanitise: scripts, styles, images and odd URL schemes do not survive.

    Headings stand a step lower: the page around the text has a first one of its own.
    """
    parser = _parser()
    env: dict[str, object] = {}
    tokens = parser.parse(source, env)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    html = nh3.clean(
        parser.renderer.render(tokens, parser.options, env),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(html)  # noqa: S704 - sanitised just above


def plain_text(source: str) -> str:
    """Return Markdown's words without its marks, as a chat shows them."""
    lines: list[str] = []
    for token in _parser().parse(source):
        if token.type == "inline" and token.children:
            lines.append(
                "".join(child.content if child.type != "softbreak" else "\n" for child in token.children)
            )
        elif token.type in {"fence", "code_block"}:
            lines.append(token.content.rstrip("\n"))
    return "\n".join(lines)
