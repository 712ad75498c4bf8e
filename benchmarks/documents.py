"""A queue of documents, some of which are made to hurt, on a running platform: how long until all have ended.

`python benchmarks/documents.py [--count N]`. One in a hundred is poison: a bomb, a broken file, one under a
password, one without text. Ends with an error unless exactly these fail, each with a reason of its own kind,
and all others can be found.
"""

import argparse
import asyncio
import io
import sys
import time
import zipfile
from collections.abc import Callable

import processes
from figures import show
from gptagent.entrypoints.demo.stage import Service, Upload, raised_stage, until
from gptagent.kernel.settings import child_environment
from shop import open_companies

POISON_EVERY = 100
SECONDS_EACH = 3.0  # what a busy machine may take
UPLOADS_AT_ONCE = 4
PAGE = 100


def bomb() -> bytes:
    """A DOCX whose text unpacks to 400 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("[Content_Types].xml", "<Types/>")
        with target.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(400):
                part.write(b" " * 1_000_000)
    return out.getvalue()


def locked() -> bytes:
    """A PDF that opens with a password only."""
    from fpdf import FPDF
    from fpdf.enums import EncryptionMethod

    made = FPDF()
    made.add_page()
    made.set_font("Helvetica", size=11)
    made.cell(text="secret")
    made.set_encryption("owner", "user", encryption_method=EncryptionMethod.RC4)
    return bytes(made.output())


POISON: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("docx", bomb),
    ("pdf", lambda: b"%PDF-1.7\n" + bytes(5_000)),
    ("pdf", locked),
    ("txt", lambda: b" \n" * 100),
)


def files(count: int) -> list[Upload]:
    poison = [(ending, make()) for ending, make in POISON]
    made = []
    for number in range(count):
        if number % POISON_EVERY:
            text = f"Правило {number}: срок хранения заказа {number} дней, затем он едет обратно.\n" * 20
            made.append(Upload(f"rule{number}.txt", text.encode()))
        else:
            ending, data = poison[number // POISON_EVERY % len(poison)]
            made.append(Upload(f"poison{number}.{ending}", data + b" " * number))  # no two are the same file
    return made


async def with_key(platform: Service) -> Service:
    """Return the service as a program calls it: a log-in's token ends before a long queue does."""
    asked = {"name": "Queue", "scopes": ["view", "knowledge.edit"]}
    made = await platform.call("POST", "/api/v1/api-keys", asked)
    return Service(platform.url, platform.egress, {"authorization": f"Bearer {made['key']}"})


async def all_documents(platform: Service) -> list[dict[str, object]]:
    found, cursor = [], ""
    while True:
        page = await platform.call("GET", f"/api/v1/documents?limit={PAGE}{cursor}")
        found += page["items"]
        if not page["next_cursor"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def main(count: int) -> None:
    async with raised_stage(child_environment()) as stage:
        (company,) = await open_companies(stage, companies=1, accounts=0, response_delay_seconds=0)
        platform, gate = await with_key(company.platform), asyncio.Semaphore(UPLOADS_AT_ONCE)

        async def upload(file: Upload) -> None:
            async with gate:
                await platform.call("POST", "/api/v1/documents", file)

        began = time.monotonic()
        await asyncio.gather(*(upload(file) for file in files(count)))
        show("documents", "uploaded_s", time.monotonic() - began)
        peak = 0.0

        async def ended() -> bool:
            nonlocal peak
            peak = max(peak, processes.memory(stage.up_pid).rss)
            unread = [await platform.call("GET", f"/api/v1/documents?status={s}&limit=1") for s in WAITING]
            return not any(page["items"] for page in unread)

        await until("every document has ended", ended, seconds=60 + count * SECONDS_EACH, pause=2)
        seconds = time.monotonic() - began
        judge(await all_documents(platform), count)
        show("documents", "count", count, 0)
        show("documents", "poisoned", len(range(0, count, POISON_EVERY)), 0)
        show("documents", "ended_s", seconds)
        show("documents", "peak_rss_mib", peak)


WAITING = ("pending", "processing")


def judge(documents: list[dict[str, object]], count: int) -> None:
    """End with an error if anything else failed, or anything less."""
    failed = {str(one["file_name"]): one["error_code"] for one in documents if one["status"] == "failed"}
    read = [one for one in documents if one["status"] == "completed" and one["chunk_count"]]
    poisoned = {one.name for one in files(count) if one.name.startswith("poison")}
    if set(failed) != poisoned or "internal" in failed.values() or len(read) != count - len(poisoned):
        sys.exit(f"of {count} documents {len(read)} were read and these failed: {failed}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000)
    asyncio.run(main(parser.parse_args().count))
