"""Files that are read while a worker is stopped, or another release is installed under it."""

import asyncio
import io
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest

import gptagent
import knowledge_scans as scans
from gptagent.features.knowledge import jobs
from gptagent.features.knowledge.model import PDF, TXT, ZIP, NewDocument
from gptagent.features.knowledge.parsing import Interrupted, release
from gptagent.features.knowledge.service import get_document, register_document
from gptagent.kernel.clock import utcnow
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext

READER = """
import asyncio, sys
from pathlib import Path
from gptagent.features.knowledge.parsing import Interrupted, ParseFailed, parse_file

async def read(path, mime):
    try:
        return f"read {len((await parse_file(Path(path), mime)).scans)}"
    except ParseFailed as failed:
        return failed.code
    except Interrupted as stopped:
        return str(stopped)

for line in sys.stdin:
    print("answer:", asyncio.run(read(*line.split())), flush=True)
"""


class Release:
    """A release that is installed by itself, as the platform is: its code may be exchanged."""

    def __init__(self, folder: Path):
        self.source = folder / "src" / "gptagent"
        unneeded = shutil.ignore_patterns("ui", "locales", "*.pyc")
        shutil.copytree(Path(gptagent.__file__).parent, self.source, ignore=unneeded)
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        packages = folder / "env" / "lib" / version / "site-packages"
        packages.mkdir(parents=True)
        (packages / "all.pth").write_text(f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n")
        base = Path(sys._base_executable)
        (folder / "env" / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
        self.python = folder / "env" / "bin" / "python"
        self.python.parent.mkdir()
        self.python.symlink_to(base)

    @contextmanager
    def worker(self):
        """Run a process that reads files, and hand out how to ask it."""
        command = [self.python, "-I", "-c", READER]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as process:

            def read(path, mime):
                process.stdin.write(f"{path} {mime}\n")
                process.stdin.flush()
                told = iter(process.stdout.readline, "")  # the log's lines among them
                return next(line for line in told if line.startswith("answer:"))[len("answer:") :].strip()

            yield read

    def exchange(self, module, old, new):
        """Install another code of a module."""
        file = self.source / "features" / "knowledge" / "parsing" / module
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


def test_another_release_under_a_running_worker_makes_no_file_a_damaged_one(tmp_path):
    """Its child tells of scans what this worker does not understand; one that was started since does."""
    installed = Release(tmp_path)
    files = {"scan": scans.scanned([scans.LATIN]), "broken": b"%PDF-1.7\n" + bytes(5_000)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "text").write_text("Delivery takes three days.")
    scan, broken, text = (tmp_path / name for name in ("scan", "broken", "text"))
    with installed.worker() as read:
        assert [read(scan, PDF), read(broken, PDF), read(text, TXT)] == ["read 1", "damaged", "read 0"]
        as_told = ("[[one.number, one.heading, one.page] for", "[one.number for")
        installed.exchange("child.py", *as_told)
        assert [read(scan, PDF), read(broken, PDF), read(text, TXT)] == ["outdated", "outdated", "read 0"]
        installed.exchange("child.py", *reversed(as_told))
        assert [read(scan, PDF), read(broken, PDF)] == ["read 1", "damaged"], "it was taken back"
        installed.exchange("pdf.py", "import pypdfium2", "import pypdfium3")
        assert [read(scan, PDF), read(text, TXT)] == ["outdated", "read 0"], "its library is not there yet"


@pytest.fixture
def ctx(database, scope, tmp_path):
    return JobContext(database, LocalFiles(tmp_path / "files"), scope, 1, 1)


async def upload(ctx, data, mime, name):
    async def chunks():
        yield data

    stored = await ctx.files.put(ctx.scope.key("documents", new_id().hex), chunks(), max_bytes=len(data))
    new = NewDocument(name, mime, stored.size_bytes, stored.sha256, stored.key)
    async with ctx.db.session(ctx.scope) as session:
        return (await register_document(session, new, now=utcnow())).document.id


async def get(ctx, document):
    async with ctx.db.session(ctx.scope) as session:
        return await get_document(session, document)


def packed(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, data)
    return out.getvalue()


async def stop_child():
    """End this process's next reader, as who stops a whole service does."""
    while True:
        for entry in Path("/proc").iterdir():
            try:
                status, words = (entry / "stat").read_text(), (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"parsing.child" in words and int(status.rpartition(")")[2].split()[1]) == os.getpid():
                os.kill(int(entry.name), signal.SIGTERM)
                return
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("data", "mime", "name"),
    [
        (scans.scanned([scans.LATIN], texts=["Opening hours: 9 to 18"]), PDF, "scan.pdf"),
        (packed("rule.txt", b"Delivery takes three days."), ZIP, "rules.zip"),
    ],
)
async def test_a_reader_that_is_stopped_with_its_worker_begins_again(
    *, ctx, data, mime, name, monkeypatch, tmp_path
):
    """The job fails, so the queue gives it to the next worker; the document is none that failed."""
    document = await upload(ctx, data, mime, name)
    os.mkfifo(endless := tmp_path / "endless")

    async def path(_ctx, _claim):
        return endless

    stopping = asyncio.create_task(stop_child())
    with monkeypatch.context() as amidst, pytest.raises(Interrupted):
        amidst.setattr(jobs, "_path", path)  # whoever reads it is not done before it is stopped
        await jobs.ingest(ctx, str(document))
    await stopping
    assert (await get(ctx, document)).status == "processing"
    await jobs.ingest(ctx, str(document))
    done = await get(ctx, document)
    assert (done.status, done.error_code) == ("completed", None)


async def test_a_worker_of_another_release_leaves_the_file_to_the_one_to_come(ctx, monkeypatch):
    """However long that takes: the document waits, and the queue's attempts are not used up."""
    document = await upload(ctx, b"%PDF-1.7\n" + bytes(5_000), PDF, "a.pdf")
    with monkeypatch.context() as before:
        before.setattr(release, "AT_START", "another release")
        await jobs.ingest(ctx, str(document))
    assert (await get(ctx, document)).status == "processing"
    async with ctx.db.session(ctx.scope) as session:
        waiting = await session.fetchval(
            """select count(*) from jobs.pgqueuer where entrypoint = 'knowledge.ingest'
                and execute_after > created + interval '20 seconds' and headers->>'org' = $1""",
            str(ctx.scope.org_id),
        )
    assert waiting == 1
    await jobs.ingest(ctx, str(document))
    assert (await get(ctx, document)).error_code == "damaged"
