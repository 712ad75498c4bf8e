"""What Office's formats share: a ZIP of XML parts, measured before anything is unpacked."""

import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree  # type: ignore[import-untyped]

from gptagent.features.knowledge.parsing.limits import ARCHIVE_MAX_ENTRIES, UNPACKED_MAX_BYTES
from gptagent.features.knowledge.parsing.result import ParseFailed
from gptagent.features.knowledge.parsing.sniff import OLE

BROKEN = (zipfile.BadZipFile, etree.LxmlError, KeyError, ValueError, EOFError, NotImplementedError)
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3.4
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


def open_package(file: BinaryIO, part: str) -> zipfile.ZipFile:
    """Raises ParseFailed for a password, an archive without this part, a bomb or a damaged file."""
    if file.read(len(OLE)) == OLE:
        raise ParseFailed("encrypted" if _ENCRYPTED_STREAM in file.read() else "type_mismatch")
    file.seek(0)
    try:
        archive = zipfile.ZipFile(file)
    except BROKEN as error:
        raise ParseFailed("damaged") from error
    entries = archive.infolist()
    if len(entries) > ARCHIVE_MAX_ENTRIES or sum(e.file_size for e in entries) > UNPACKED_MAX_BYTES:
        raise ParseFailed("too_complex")
    if part not in archive.namelist():
        raise ParseFailed("type_mismatch")
    return archive


def elements(archive: zipfile.ZipFile, part: str, *names: str) -> Iterator[Any]:
    """Yield the part's elements of these local names, each forgotten when the next is asked for.

    No entity is resolved, no document type is read, nothing is fetched.
    """
    with archive.open(part) as source:
        tags = [f"{{*}}{name}" for name in names]
        events = etree.iterparse(
            source,
            tag=tags,
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            remove_comments=True,
            remove_pis=True,
        )
        for _, element in events:
            yield element
            element.clear()
            # what was read stays behind as an empty brother otherwise, a million of them
            while element.getprevious() is not None:
                del element.getparent()[0]


def relations(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Return the parts that a part names, by the ids it names them with."""
    folder, name = posixpath.split(part)
    found: dict[str, str] = {}
    listing = f"{folder}/_rels/{name}.rels"
    if listing not in archive.namelist():
        return found
    for relation in elements(archive, listing, "Relationship"):
        if relation.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", "")))
            found[relation.get("Id", "")] = target.lstrip("/")
    return found


def relation_of(element: Any) -> str:
    """Return the id with which an element names a part."""
    return str(element.get(_RELATION) or element.get(_STRICT_RELATION) or "")


def local(element: Any) -> str:
    """Return an element's name without its namespace; comments and entities have none."""
    return str(etree.QName(element).localname) if isinstance(element.tag, str) else ""
