"""A letter (EML) to its subject and text. Addresses and what is attached are not read."""

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import BinaryIO

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.markup import declared_charset, read_html
from gptagent.features.knowledge.parsing.plain import decode
from gptagent.features.knowledge.parsing.result import ParseFailed

# Read before any other: what the standard library imports in mid-reading is loaded by then.
SAMPLE = b"""From: a@b.example\r\nSubject: =?utf-8?B?0K8=?=\r\nMIME-Version: 1.0
Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: base64\r\n\r\n0Q==\r\n--x\r\nContent-Type: text/html\r
Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=D0=AF\r\n--x--\r\n"""


def read_letter(file: BinaryIO) -> Iterator[Section]:
    letter = BytesParser(policy=policy.default).parse(file)
    if not letter.keys():
        raise ParseFailed("type_mismatch")
    yield Section(1, " ".join(str(letter.get("Subject", "")).split()), "")
    for kind in ("plain", "html"):
        sections = list(_body(letter, kind))
        if any(section.text.strip() for section in sections):
            yield from sections
            return


def _body(letter: EmailMessage, kind: str) -> Iterator[Section]:
    body = letter.get_body((kind,))
    raw = body.get_payload(decode=True) if body is not None else None
    if body is None or not isinstance(raw, bytes):
        return
    charset = body.get_content_charset()
    if kind == "plain":
        yield Section(0, "", decode(raw, charset))
        return
    for section in read_html(decode(raw, charset or declared_charset(raw))):
        yield Section(min(section.level + 1, 6) if section.level else 0, section.heading, section.text)
