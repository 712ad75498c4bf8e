"""Archives become documents, one for each file of them; a file of the same name takes a document's place."""

import asyncio
import io
import struct
import zipfile

import pytest

import knowledge_files as made
import knowledge_office as office
from gptagent.features.knowledge import jobs, service
from gptagent.features.knowledge.model import FILE_MAX_BYTES, PPTX, TXT, ZIP, NewDocument
from gptagent.features.knowledge.parsing import ParseFailed, unpack_file
from gptagent.features.knowledge.parsing.limits import ARCHIVE_FILES_MAX
from gptagent.features.knowledge.parsing.parent import child_of
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict
from gptagent.kernel.files import LocalFiles
from integration.test_knowledge_documents import Desk

GUARANTEE = "Гарантия на часы действует два года.".encode()


@pytest.fixture
def desk(database, scope, tmp_path):
    return Desk(database, LocalFiles(tmp_path / "files"), scope)


async def unpacked(folder, data):
    """Return name and bytes, or reason, of each file of an archive."""
    path = folder / "archive"
    path.write_bytes(data)
    found = []
    async for file in unpack_file(path):
        try:
            content = file.failed or b"".join([chunk async for chunk in file.chunks])
        except ParseFailed as failed:
            content = failed.code
        found.append((file.name, content))
    return found


def patched(data, name, offset, value):
    """Write into the directory's record of an entry (APPNOTE 4.3.12)."""
    at = data.rindex(name.encode()) - 46 + offset
    return data[:at] + value + data[at + len(value) :]


def spoilt(data, name):
    """Turn over a byte of an entry's packed bytes."""
    at = data.index(name.encode()) + len(name) + 5
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


async def documents(desk):
    async with desk.db.session(desk.scope) as session:
        return {d.file_name: d for d in await service.list_documents(session)}


async def test_names_lead_nowhere_and_noise_is_left_out(tmp_path):
    data = office.zipped(
        {
            "../../etc/passwd.txt": "a",
            "/etc/key.txt": "b",
            "C:\\docs\\прайс.txt": "c",
            "__MACOSX/x.txt": "",
            "docs/.DS_Store": "",
            "Thumbs.db": "",
            "docs/": "",
        }
    )
    names = [name for name, _ in await unpacked(tmp_path, data)]
    assert names == ["etc › passwd.txt", "etc › key.txt", "C: › docs › прайс.txt"]


@pytest.mark.parametrize("encoding", ["cp866", "utf-8"])
async def test_names_of_other_systems_are_read(tmp_path, encoding):
    """Windows and old programs do not say how they write a name."""
    raw = "прайс.txt".encode(encoding)
    data = office.zipped({"x" * len(raw): "text"}).replace(b"x" * len(raw), raw)
    assert await unpacked(tmp_path, data) == [("прайс.txt", b"text")]


async def test_one_bad_file_stops_no_other(tmp_path):
    big = "x" * (FILE_MAX_BYTES + 1)
    data = office.zipped(
        {
            "a.txt": GUARANTEE,
            "locked.txt": "x",
            "spoilt.txt": GUARANTEE * 20,
            "small.txt": b"y" * 5_000,
            "big.txt": big,
            "inner.zip": office.zipped({"x.txt": "x"}),
            "run.exe": "MZ",
            "z.txt": "последний",
        }
    )
    data = spoilt(patched(data, "locked.txt", 8, b"\x01\x08"), "spoilt.txt")
    data = patched(data, "small.txt", 24, struct.pack("<I", 10))
    assert await unpacked(tmp_path, data) == [
        ("a.txt", GUARANTEE),
        ("locked.txt", "encrypted"),
        ("spoilt.txt", "damaged"),
        ("small.txt", "damaged"),
        ("big.txt", "entry_too_large"),
        ("inner.zip", "nested_archive"),
        ("run.exe", "type_unsupported"),
        ("z.txt", "последний".encode()),
    ]


async def test_a_file_that_is_not_read_to_its_end_stops_no_other(tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(office.zipped({"a.txt": "x" * 3_000_000, "b.txt": "y"}))
    assert [file.name async for file in unpack_file(path)] == ["a.txt", "b.txt"]


async def test_a_child_that_has_said_more_than_was_read_is_ended(tmp_path):
    """It was waited for without end where its pipe was full when it was killed."""
    path = tmp_path / "archive"
    path.write_bytes(office.zipped({"a.txt": "x" * 3_000_000}))
    async with asyncio.timeout(60):
        async with child_of(path, ZIP, "unpack", "0") as process:
            while not process.stdout._paused:  # noqa: ASYNC110 - asyncio itself, that has stopped reading
                await asyncio.sleep(0.01)
    assert process.returncode is not None


def bombs(count):
    """Entries that share one body: each is honest, together they are too much."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            archive.writestr(f"{number}.txt", b"0" * 40_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: office.zipped({f"{n}.txt": "" for n in range(ARCHIVE_FILES_MAX + 1)}), "too_many_files"),
        (lambda: office.zipped({}), "empty_archive"),
        (lambda: office.zipped({"a.txt": GUARANTEE})[:60], "damaged"),
        (lambda: b"PK\x03\x04" + bytes(100), "damaged"),
        (lambda: b"no archive", "type_mismatch"),
        (made.word, "type_mismatch"),
        (lambda: bombs(8), "too_complex"),
    ],
)
async def test_an_archive_that_cannot_be_opened_ends_in_a_reason(tmp_path, make, code):
    with pytest.raises(ParseFailed) as failed:
        await unpacked(tmp_path, make())
    assert failed.value.code == code


async def test_each_file_of_an_archive_is_a_document_with_its_result(desk):
    """One that cannot be taken is named with its reason, one that cannot be read fails by itself."""
    data = office.zipped(
        {
            "docs/guarantee.txt": GUARANTEE,
            "bad.pdf": b"%PDF-1.7\n" + bytes(99),
            "movie.mp4": "x",
            "copy.txt": GUARANTEE,
        }
    )
    archive = (await desk.upload(data, ZIP, "all.zip")).document
    done = await desk.ingest(archive.id)
    assert (done.status, done.entry_count, done.chunk_count) == ("completed", 3, 0)
    assert [(one.name, one.error_code) for one in done.unread] == [("movie.mp4", "type_unsupported")]
    for document in (await documents(desk)).values():
        await desk.ingest(document.id)
    found = {name: (d.status, d.error_code) for name, d in (await documents(desk)).items()}
    assert found == {
        "all.zip": ("completed", None),
        "docs › guarantee.txt": ("completed", None),
        "bad.pdf": ("failed", "damaged"),
    }
    assert (await desk.search("гарантия на часы"))[0].source_title == "docs › guarantee"


async def test_an_archive_of_nothing_readable_fails(desk):
    archive = (await desk.upload(office.zipped({"a.exe": "MZ"}), ZIP, "a.zip")).document
    assert (await desk.ingest(archive.id)).error_code == "nothing_read"


async def test_the_same_archive_again_brings_back_what_was_deleted(desk):
    data = office.zipped({"a.txt": GUARANTEE, "b.txt": "другое"})
    archive = (await desk.upload(data, ZIP, "all.zip")).document
    await desk.ingest(archive.id)
    async with desk.db.session(desk.scope) as session:
        await service.delete_document(session, (await documents(desk))["a.txt"].id)
    again = await desk.upload(data, ZIP, "all.zip")
    assert not again.is_new and again.document.status == "pending"
    await desk.ingest(archive.id)
    assert set(await documents(desk)) == {"all.zip", "a.txt", "b.txt"}


async def test_a_file_of_the_same_name_takes_the_documents_place(desk):
    """What was said before answers until the new text is read, and never after it."""
    first = (await desk.upload(GUARANTEE, name="Гарантия.txt")).document
    await desk.ingest(first.id)
    again = await desk.upload("Гарантия на часы действует три года.".encode(), name="Гарантия.txt")
    assert (again.document.id, again.replaced_key, again.document.status) == (
        first.id,
        first.blob_key,
        "pending",
    )
    (found,) = await desk.search("гарантия на часы")
    assert "два года" in found.content and found.version == 1
    await desk.ingest(first.id)
    (found,) = await desk.search("гарантия на часы")
    assert "три года" in found.content and found.version == 2
    assert await desk.fetch("select count(*)::int from app.document") == [(1,)]


async def test_a_citation_names_the_slide(desk):
    slides = [office.shape("Часы и ремешки"), office.shape("Гарантия на часы действует два года")]
    deck = (await desk.upload(office.show(slides), PPTX, "Часы.pptx")).document
    await desk.ingest(deck.id)
    found = (await desk.search("гарантия на часы"))[0]
    assert (found.place, found.page, found.version) == ("slide", 2, 1)


async def test_a_replaced_file_that_cannot_be_read_answers_no_more(desk):
    first = (await desk.upload(GUARANTEE, name="a.txt")).document
    await desk.ingest(first.id)
    await desk.upload(b" ", name="a.txt")
    assert (await desk.ingest(first.id)).error_code == "empty_text"
    assert await desk.search("гарантия на часы") == []


async def test_a_run_that_reads_the_file_before_records_nothing(desk):
    first = (await desk.upload(GUARANTEE, name="a.txt")).document
    async with desk.db.session(desk.scope) as session:
        stale = await service.claim_document(session, first.id, now=utcnow())
    await desk.upload("Другое правило.".encode(), name="a.txt")
    with pytest.raises(Conflict):
        await desk.record(stale, 1)
    assert (await desk.get(first.id)).status == "pending"


async def test_another_workspaces_file_of_the_same_name_stays(desk, other_scope):
    """KB-27"""
    mine = (await desk.upload(GUARANTEE, name="a.txt")).document
    stranger = Desk(desk.db, desk.files, other_scope)
    theirs = await stranger.upload("Другое.".encode(), name="a.txt")
    assert theirs.replaced_key is None and theirs.document.id != mine.id
    assert (await desk.get(mine.id)).sha256 == mine.sha256


async def test_a_reading_says_when_it_is_expected_to_end(desk):
    """KB-11"""
    document = (await desk.upload(GUARANTEE, name="a.txt")).document
    async with desk.db.session(desk.scope) as session:
        now = utcnow()
        claim = await service.claim_document(session, document.id, now=now, seconds_per_byte={TXT: 0.5})
    assert (claim.expected_at - now).total_seconds() == pytest.approx(1 + len(GUARANTEE) / 2)
    assert (await desk.ingest(document.id)).expected_at is None


async def test_of_many_documents_the_poisoned_fail_and_the_others_are_read(desk):
    """KB-12: as many as a worker reads at a time, and one in ten is made to hurt."""
    poison = [
        made.word_bomb(400, honest=True),
        b"%PDF-1.7\n" + bytes(5_000),
        made.english_pdf("x", password="y"),
    ]
    endings = ["docx", "pdf", "pdf"]
    files = {f"{n}.txt": f"Правило {n}: срок {n} дней." for n in range(27)}
    files |= {f"poison{n}.{endings[n]}": data for n, data in enumerate(poison)}
    archive = (await desk.upload(office.zipped(files), ZIP, "all.zip")).document
    await desk.ingest(archive.id)
    waiting = [d for d in (await documents(desk)).values() if d.id != archive.id]
    await asyncio.gather(*(jobs.ingest(desk, str(document.id)) for document in waiting))
    states = {name: d.status for name, d in (await documents(desk)).items()}
    assert {name for name, state in states.items() if state == "failed"} == {
        n for n in files if "poison" in n
    }
    assert sum(state == "completed" for state in states.values()) == 28


async def test_an_archive_whose_bytes_are_lost_says_so(desk):
    new = NewDocument("a.zip", ZIP, 1, "0" * 64, desk.scope.key("documents", "gone"))
    async with desk.db.session(desk.scope) as session:
        lost = (await service.register_document(session, new, now=utcnow())).document
    assert (await desk.ingest(lost.id)).error_code == "file_missing"
