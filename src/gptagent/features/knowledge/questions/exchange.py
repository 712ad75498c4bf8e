"""The verbs of files of questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.exchange.rows import FileFormat
from gptagent.features.knowledge.listing import id_of
from gptagent.features.knowledge.questions import service, store
from gptagent.features.knowledge.questions.files import Row, read_file, write_file
from gptagent.features.knowledge.questions.model import QUESTIONS_MAX, SOURCES_MAX, Expected, Question
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid
from gptagent.kernel.ids import new_id

NAME_MAX_CHARS = 100  # of one that is told in a fault
Named = Mapping[tuple[str, str], Sequence[UUID]]  # (kind, title or id) as the file says it


@dataclass(frozen=True, slots=True)
class Imported:
    """How many questions are new, and of how many that were there the sources are others now."""

    created: int
    changed: int


async def export_questions(session: Session, form: FileFormat) -> bytes:
    """Return all saved questions as a file, the oldest first. The export is recorded."""
    found = (await service.list_questions(session))[::-1]
    titles = [one.title for question in found for one in question.sources]
    shared = await store.shared_titles(session, titles)
    await audit.record(session, Entry("questions.exported", "question", "", {"format": (None, form)}))
    return write_file([_written(one, shared) for one in found], form).encode()


async def import_questions(session: Session, data: bytes, *, now: datetime) -> Imported:
    """Save every question of a file, or none. One that is saved already expects what the file says from now;
    if the file says nothing of sources, it stays as it is.

    Raises Invalid naming each fault as `line/field`, Conflict if there is no room for all.
    """
    rows = read_file(data)
    wanted = [(kind, name) for _line, row in rows for kind, name in _names(row)]
    named = await store.find_named(session, wanted)
    checked = _checked(rows, named)
    created, changed = 0, 0
    for text, sources in checked:
        question_id = new_id()
        is_new = await store.insert_question(session, question_id, text, now)
        created += is_new
        if sources is None:
            continue
        if not is_new:
            question_id = await store.touch_text(session, text, now)
            changed += 1
        await store.set_sources(session, question_id, sources)
    if await store.count_questions(session) > QUESTIONS_MAX:
        raise Conflict(
            "too_many_questions", "At most {max} questions are kept.", params={"max": QUESTIONS_MAX}
        )
    done = Imported(created, changed)
    counted = {"created": (None, done.created), "changed": (None, done.changed)}
    await audit.record(session, Entry("questions.imported", "question", "", counted))
    return done


def _written(question: Question, shared: set[tuple[str, str]]) -> Row:
    names: dict[str, list[str]] = {"article": [], "document": []}
    for one in question.sources:
        names[one.kind].append(_name(one, shared))
    return Row(question.text, tuple(names["article"]), tuple(names["document"]))


def _name(source: Expected, shared: set[tuple[str, str]]) -> str:
    """Return the title, or the id where a title would not be read back as this source."""
    title = source.title
    is_plain = title == title.strip() and len(title.splitlines()) == 1 and id_of(title) is None
    return title if is_plain and (source.kind, title.lower()) not in shared else str(source.id)


def _names(row: Row) -> list[tuple[str, str]]:
    return [
        *(("article", name.strip()) for name in row.articles or ()),
        *(("document", name.strip()) for name in row.documents or ()),
    ]


def _checked(rows: Sequence[tuple[int, Row]], named: Named) -> list[tuple[str, set[UUID] | None]]:
    """Return each question with its sources, None if the file says nothing of them."""
    found: list[tuple[str, set[UUID] | None]] = []
    faults: list[FieldError] = []
    seen: set[str] = set()
    for line, row in rows:
        try:
            text = service.check_text(row.text)
        except Invalid as error:
            faults += [FieldError(f"{line}/text", one.message, one.params) for one in error.fields]
            continue
        if text.lower() in seen:
            faults.append(FieldError(f"{line}/text", "This question is in the file twice."))
        seen.add(text.lower())
        sources: set[UUID] = set()
        for kind, name in _names(row):
            ids = named.get((kind, name), ())
            if len(ids) == 1:
                sources.add(ids[0])
            else:
                faults.append(_unnamed(f"{line}/{kind}s", kind, name, ids))
        if len(sources) > SOURCES_MAX:
            faults.append(FieldError(f"{line}/articles", "Choose at most {max}.", {"max": SOURCES_MAX}))
        is_silent = row.articles is None and row.documents is None
        found.append((text, None if is_silent else sources))
    if faults:
        raise Invalid("invalid", "Please correct the marked lines.", fields=tuple(faults))
    return found


def _unnamed(place: str, kind: str, name: str, ids: Sequence[UUID]) -> FieldError:
    """Return what is wrong with a name that is nobody's, or several sources'."""
    params = {"name": name[:NAME_MAX_CHARS]}
    if ids:
        return FieldError(place, "Several are called “{name}”: write the id of the one you mean.", params)
    if kind == "article":
        return FieldError(place, "There is no article “{name}”.", params)
    return FieldError(place, "There is no document “{name}”.", params)
