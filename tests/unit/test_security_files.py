"""Files made to hurt: entities in XML, too many entries, and what the child that reads them is given."""

import asyncio
import io
import zipfile
from pathlib import Path

import pytest

import knowledge_files as made
from gptagent.features.knowledge.model import DOCX
from gptagent.features.knowledge.parsing import ParseFailed, parse_file
from gptagent.features.knowledge.parsing.child import parse
from gptagent.features.knowledge.parsing.limits import ARCHIVE_MAX_ENTRIES
from unit.test_knowledge_parsing import _children_reading as children_reading
from unit.test_knowledge_parsing import endless_file

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ENTITIES = {
    "a file": '<!ENTITY x SYSTEM "file://{secret}">',
    "a parameter": '<!ENTITY % p SYSTEM "file://{secret}"> %p;',
    "a billion laughs": f'<!ENTITY l0 "ha">{LAUGHS}<!ENTITY x "&l9;">',
}


def word_with(entity):
    """A DOCX whose text asks for an entity of its own."""
    source, target = zipfile.ZipFile(io.BytesIO(made.word())), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name == "word/document.xml":
                head, _, body = data.decode().partition("?>")
                body = body.replace("Доставка по", "[&x;] Доставка по")
                data = f"{head}?><!DOCTYPE w [{entity}]>{body}".encode()
            archive.writestr(name, data)
    return target.getvalue()


@pytest.mark.parametrize("kind", ENTITIES)
def test_no_entity_of_a_document_is_resolved(kind, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the operator's own word")
    data = word_with(ENTITIES[kind].replace("{secret}", str(secret)))
    try:
        text = "".join(fragment.content for fragment in parse(io.BytesIO(data), DOCX).fragments)
    except ParseFailed as failed:
        text = failed.code
    assert "operator" not in text and "ha" * 100 not in text


def test_an_archive_of_too_many_files_is_not_unpacked():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(ARCHIVE_MAX_ENTRIES + 1):
            archive.writestr(f"{number}.txt", "")
    with pytest.raises(ParseFailed, match="too_complex"):
        parse(io.BytesIO(target.getvalue()), DOCX)


async def test_the_child_that_reads_a_file_is_given_no_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_KEYS", "the operator's own word")
    path = endless_file(tmp_path)
    task = asyncio.create_task(parse_file(path, DOCX))
    while not (children := children_reading(path)):  # noqa: ASYNC110 - another process's start is no event
        await asyncio.sleep(0.01)
    given = [Path(f"/proc/{child}/environ").read_bytes() for child in children]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given and not any(b"operator" in one for one in given)
