"""Pages that are pictures: drawn by a child, read by the recogniser, put among the other pages."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from gptagent.features.knowledge.chunking import Section, cut
from gptagent.features.knowledge.model import Unread
from gptagent.features.knowledge.parsing.limits import SCANS_MAX
from gptagent.features.knowledge.parsing.parent import draw
from gptagent.features.knowledge.parsing.plain import unwrap
from gptagent.features.knowledge.parsing.result import ParsedDocument, ParseFailed, Scan
from gptagent.features.knowledge.ports import Recogniser

SECONDS_MAX = 1_200.0  # of one document: its job has half an hour

# Called with how many pages are done, and how many there are.
Told = Callable[[int, int], Awaitable[None]]


async def read_scans(
    path: Path, mime: str, parsed: ParsedDocument, recogniser: Recogniser | None, told: Told
) -> ParsedDocument:
    """Return the document with the text of its scanned pages. Raises ParseFailed if that leaves it empty."""
    if not parsed.scans:
        return parsed
    if recogniser is None or not await recogniser.is_ready():
        return _judged(parsed, dict.fromkeys(parsed.scans, "no_recognition"))
    if len(parsed.scans) > SCANS_MAX:
        return _judged(parsed, dict.fromkeys(parsed.scans, "too_many_scans"))
    texts, failed = dict[Scan, str](), dict[Scan, str]()
    ends = asyncio.get_running_loop().time() + SECONDS_MAX
    for done, scan in enumerate(parsed.scans):
        await told(done, len(parsed.scans))
        try:
            async with asyncio.timeout_at(ends):
                texts[scan] = unwrap(await recogniser.recognise(await draw(path, mime, scan.number)))
        except ParseFailed as error:
            failed[scan] = error.code
        except TimeoutError:
            failed[scan] = "too_complex"
    sections = (Section(1, scan.heading, text, scan.page) for scan, text in texts.items() if text.strip())
    read = [fragment for fragment in cut(sections) if fragment.content]
    fragments = [*parsed.fragments, *read]
    if parsed.pages:
        fragments.sort(key=lambda fragment: fragment.page or 0)
    return _judged(replace(parsed, fragments=tuple(fragments)), failed)


def _judged(parsed: ParsedDocument, failed: dict[Scan, str]) -> ParsedDocument:
    if not any(c.isalnum() for fragment in parsed.fragments for c in fragment.content):
        raise ParseFailed(next(iter(failed.values()), "empty_text"))
    numbers = defaultdict[tuple[str, str], list[int]](list)
    for scan, code in failed.items():
        numbers[scan.heading, code].append(scan.page or scan.number)
    unread = (Unread(heading or ranges(found), code) for (heading, code), found in numbers.items())
    return replace(parsed, unread=(*parsed.unread, *unread))


def ranges(pages: Iterable[int]) -> str:
    """Return page numbers as people write them: `3-5, 9`."""
    numbered = enumerate(sorted(pages))
    runs = [[page for _, page in run] for _, run in groupby(numbered, key=lambda at: at[1] - at[0])]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
