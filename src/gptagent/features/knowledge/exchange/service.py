"""The verbs of files of articles."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.articles import service as articles
from gptagent.features.knowledge.articles import store
from gptagent.features.knowledge.articles.model import Article, NewArticle
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory, Tree
from gptagent.features.knowledge.exchange.files import Row, read_file, write_piece
from gptagent.features.knowledge.exchange.rows import FileFormat
from gptagent.features.knowledge.quota import service as quota
from gptagent.features.knowledge.staging.model import StageKey
from gptagent.features.knowledge.staging.service import list_stages
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import FieldError, Invalid
from gptagent.kernel.scope import Scope

EXPORT_ROWS = 100  # of one transaction: a long export holds none open

Path = tuple[str, ...]
GONE = "?"  # in the place of the name of a pipeline or stage that is no longer there


async def export_articles(db: Database, scope: Scope, form: FileFormat) -> AsyncIterator[bytes]:
    """Return all articles as a file's pieces, read as they are taken. The export is recorded first."""
    async with db.session(scope) as session:
        await audit.record(session, Entry("articles.exported", "article", "", {"format": (None, form)}))
    return _pieces(db, scope, form)


async def import_articles(session: Session, data: bytes, *, now: datetime) -> int:
    """Write every article of a file, or none; return how many. Categories that are missing are made.

    Raises Invalid naming each fault as `line/field`, Conflict if there is no room for so much.
    """
    rows = read_file(data)
    await quota.hold(session)
    tree = await categories.lock_tree(session, now=now)
    places: dict[Path, UUID] = {_key(tree, one.id): one.id for one, _depth in tree.walk()}
    stages = await list_stages(session)
    faults: list[FieldError] = []
    for line, row in rows:
        try:
            ids = [await _place(session, places, path, now) for path in row.categories]
            new = NewArticle(
                row.title,
                row.content,
                row.is_active,
                row.description,
                row.tags,
                categories=tuple(ids),
                stages=_stages(stages, row.stages),
            )
            if not faults:
                await articles.create_article(session, new, now=now)
        except Invalid as error:
            faults += [FieldError(f"{line}/{one.pointer}", one.message, one.params) for one in error.fields]
    if faults:
        raise Invalid("invalid", "Please correct the marked lines.", fields=tuple(faults))
    counted = {"count": (None, len(rows))}
    await audit.record(session, Entry("articles.imported", "article", "", counted))
    return len(rows)


async def _place(session: Session, places: dict[Path, UUID], path: Path, now: datetime) -> UUID:
    """Return the category at the end of a path; make what is missing of it."""
    parent: UUID | None = None
    for depth in range(1, len(path) + 1):
        key = tuple(" ".join(title.split()).lower() for title in path[:depth])
        if key not in places:
            new = NewCategory(path[depth - 1], parent_id=parent)
            places[key] = (await categories.create_category(session, new, now=now)).id
        parent = places[key]
    if parent is None:
        raise Invalid.field("categories", "There is no such category.")
    return parent


def _stages(known: Sequence[tuple[StageKey, Path]], paths: Sequence[Path]) -> tuple[StageKey, ...]:
    """Return the stages that have these names, with or without their account's. Raises Invalid."""
    found: list[StageKey] = []
    for path in paths:
        names = tuple(" ".join(name.split()).lower() for name in path)
        fitting = [
            key
            for key, own in known
            if len(names) > 1 and tuple(" ".join(one.split()).lower() for one in own)[-len(names) :] == names
        ]
        if not fitting:
            raise Invalid.field("stages", "There is no such stage.")
        found += fitting
    return tuple(found)


def _key(tree: Tree, category_id: UUID) -> Path:
    return tuple(one.title.lower() for one in tree.path(category_id))


async def _pieces(db: Database, scope: Scope, form: FileFormat) -> AsyncIterator[bytes]:
    after: UUID | None = None
    while True:
        async with db.session(scope) as session:
            tree = await categories.read_tree(session)
            found = await store.read_articles(session, after, EXPORT_ROWS)
            stages = dict(await list_stages(session)) if any(not one.is_everywhere for one in found) else {}
        yield write_piece(_rows(tree, stages, found), form, is_first=after is None).encode()
        if len(found) < EXPORT_ROWS:
            break
        after = found[-1].id
    if form == "json":
        yield b"\n]\n"


def _rows(tree: Tree, stages: Mapping[StageKey, Path], found: Sequence[Article]) -> list[Row]:
    return [
        Row(
            title=one.title,
            content=one.content,
            description=one.description,
            categories=tuple(
                tuple(step.title for step in tree.path(place))
                for place in one.categories
                if place in tree.by_id
            ),
            tags=one.tags,
            is_active=one.is_active,
            stages=_stage_paths(stages, one),
        )
        for one in found
    ]


def _stage_paths(names: Mapping[StageKey, Path], article: Article) -> tuple[Path, ...]:
    """Return the names of its stages; what has none any more is told so that no import takes it for all."""
    if article.is_everywhere:
        return ()
    return tuple(names.get(one, (GONE, str(one))) for one in article.stages) or ((GONE, GONE),)
