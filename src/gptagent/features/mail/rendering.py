"""From a letter to its subject, plain text and HTML: one template makes all three.

`letters/parts.html` and `letters/parts.txt` hold the same macros, so a letter cannot say one thing in HTML
and another in plain text.
"""

import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.runtime import Macro

from gptagent.features.mail.model import SUBJECT_MAX_CHARS, Letter, Message, Written
from gptagent.kernel.i18n import translations
from gptagent.kernel.ids import new_id
from gptagent.kernel.text import render_markdown

_FEATURES = Path(__file__).parents[1]
_BLANK_LINES = re.compile(r"\n\s*\n\s*")


def compose(letter: Letter) -> Message:
    """Return the letter as it is sent. Raises LookupError or a template error for one that cannot be."""
    subject = " ".join(_block(_template(letter, "txt"), "subject", letter).split())[:SUBJECT_MAX_CHARS]
    text = _template(letter, "txt").render(letter.values)
    return Message(
        id=new_id(),
        to=letter.to,
        subject=subject,
        text=_BLANK_LINES.sub("\n\n", text).strip() + "\n",
        html=_template(letter, "html").render(letter.values),
    )


def compose_written(letter: Written) -> Message:
    """Return what somebody wrote as it is sent: their own words, nothing of ours around them but a footer."""
    html = _environment(letter.locale, "html").get_template("mail/letters/written.html")
    words = letter.text.replace("\r\n", "\n").strip()
    body = render_markdown(words.replace("\n", "  \n"))  # a line that ends there ends in the letter too
    paragraphs = [part.split("\n") for part in _BLANK_LINES.split(words)]
    return Message(
        id=letter.id,
        to=letter.to,
        subject=letter.subject,
        text="\n\n-- \n".join(filter(None, (words, letter.footer))) + "\n",  # RFC 3676, 4.3
        html=html.render(
            subject=letter.subject,
            body=body if letter.is_markdown else "",
            paragraphs=[] if letter.is_markdown else paragraphs,
            footer=letter.footer,
        ),
        sender_name=" ".join(letter.sender.split()),
        reply_to=letter.reply_to,
    )


def _template(letter: Letter, form: Literal["html", "txt"]) -> Template:
    feature, _, name = letter.template.partition("/")
    return _environment(letter.locale, form).get_template(f"{feature}/letters/{name}.html")


def _block(template: Template, name: str, letter: Letter) -> str:
    return "".join(template.blocks[name](template.new_context(dict(letter.values))))


@cache
def _environment(locale: str, form: Literal["html", "txt"]) -> Environment:
    env = Environment(
        loader=FileSystemLoader(_FEATURES),
        autoescape=form == "html",  # noqa: S701 - plain text has no markup to escape
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.install_gettext_translations(translations(locale), newstyle=True)  # type: ignore[attr-defined]  # of the extension
    parts = vars(env.get_template(f"mail/letters/parts.{form}").module)
    macros = {name: value for name, value in parts.items() if isinstance(value, Macro)}
    env.globals.update(layout=f"mail/letters/layout.{form}", letter=SimpleNamespace(**macros), locale=locale)
    return env
