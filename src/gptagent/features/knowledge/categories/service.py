"""The verbs of categories. Each change of the tree locks it: what is checked holds until the commit."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.categories import store
from gptagent.features.knowledge.categories.model import (
    CATEGORIES_MAX,
    DEPTH_MAX,
    Category,
    Direction,
    NewCategory,
    Tree,
)
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page, orders

CATEGORY_ORDERS = orders(name="title")


async def create_category(session: Session, new: NewCategory, *, now: datetime) -> Category:
    """Add a category as the last of its parent. Raises Conflict over CATEGORIES_MAX.

    Raises Invalid: a title that a sibling has, a parent that is missing or too deep.
    """
    tree = await lock_tree(session, now=now)
    if len(tree.by_id) >= CATEGORIES_MAX:
        limit = {"max": CATEGORIES_MAX}
        raise Conflict("too_many_categories", "There are {max} categories already.", params=limit)
    _check(tree, new, None)
    category_id = new_id()
    await store.insert_category(session, category_id, new, now)
    await audit.record(session, Entry("category.created", "category", str(category_id)))
    return await get_category(session, category_id)


async def update_category(
    session: Session, category_id: UUID, changes: Mapping[str, object], *, now: datetime
) -> Category:
    """Change `title`, `description`, `parent_id`, if they are named; with `version` only if it is still that.

    Raises NotFound, Conflict, and Invalid as `create_category` does, or for a parent that is below it.
    """
    tree = await lock_tree(session, now=now)
    old = tree.by_id.get(category_id)
    if old is None:
        raise _missing()
    values = {key: value for key, value in changes.items() if key != "version"}
    if changes.get("version") not in {None, old.version}:
        raise Conflict("category_changed", "Somebody else changed this category. Reload it and try again.")
    wanted = old.changed(values)
    fields = {name: getattr(wanted, name) for name in ("title", "description", "parent_id")}
    changed = {name: None for name, value in fields.items() if value != getattr(old, name)}
    if not changed:
        return old
    _check(tree, wanted, old)
    await store.update_category(session, category_id, wanted, now)
    await audit.record(session, Entry("category.updated", "category", str(category_id), changed))
    return await get_category(session, category_id)


async def move_category(
    session: Session, category_id: UUID, direction: Direction, *, now: datetime
) -> Category:
    """Exchange it with the sibling before or after it; at the end it stays. Raises NotFound."""
    tree = await lock_tree(session, now=now)
    if category_id not in tree.by_id:
        raise _missing()
    siblings = [one.id for one in tree.children(tree.by_id[category_id].parent_id)]
    place = siblings.index(category_id)
    other = place - 1 if direction == "up" else place + 1
    if 0 <= other < len(siblings):
        siblings[place], siblings[other] = siblings[other], siblings[place]
        await store.number_categories(session, siblings)
        await audit.record(session, Entry("category.moved", "category", str(category_id)))
    return await get_category(session, category_id)


async def delete_category(session: Session, category_id: UUID, *, cascade: bool, now: datetime) -> None:
    """Delete an empty category; with `cascade` one with subcategories and what is in them.

    All that stays: articles left without a category go to the default one, documents and sites are in none.
    Raises NotFound and Conflict.
    """
    tree = await lock_tree(session, now=now)
    default = tree.default()
    if category_id not in tree.by_id or default is None:
        raise _missing()
    doomed = tree.below(category_id)
    if default.id in doomed:
        raise Conflict(
            "category_is_default", "Articles without another category are kept here. It cannot be deleted."
        )
    held = await store.claim_categories(session, doomed)
    if not cascade and (len(doomed) > 1 or held):
        raise Conflict("category_not_empty", "A category that is not empty cannot be deleted like this.")
    await store.delete_categories(session, doomed, default.id)
    await audit.record(session, Entry("category.deleted", "category", str(category_id)))


async def get_category(session: Session, category_id: UUID) -> Category:
    """Raise NotFound if the workspace has no such category."""
    found = await store.fetch_category(session, category_id)
    if found is None:
        raise _missing()
    return found


async def check_categories(session: Session, ids: Collection[UUID]) -> None:
    """Raise Invalid on `categories` if one of these is not there."""
    if ids and await store.find_categories(session, ids) != set(ids):
        raise Invalid.field("categories", "There is no such category.")


async def lock_category(session: Session, category_id: UUID, *, now: datetime) -> Category:
    """Return a category that nobody changes until the commit. Raises NotFound."""
    found = (await lock_tree(session, now=now)).by_id.get(category_id)
    if found is None:
        raise _missing()
    return found


async def read_tree(session: Session) -> Tree:
    return Tree(await store.list_categories(session))


async def page_categories(
    session: Session, page: Page, *, search: str = "", parent_id: UUID | None = None
) -> tuple[list[Category], str | None]:
    """Return a page of the categories, of one parent if it is named, and the cursor of the next one."""
    found = await store.page_categories(session, page, search.strip(), parent_id)
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.id))


async def ensure_default(session: Session, *, now: datetime) -> UUID:
    """Return the category of articles that have no other; it is made when it is first needed."""
    return await store.ensure_default(session, new_id(), now)


async def lock_tree(session: Session, *, now: datetime) -> Tree:
    """Return the tree, which nobody else changes until the commit."""
    await ensure_default(session, now=now)
    await store.lock_tree(session)
    return await read_tree(session)


def _check(tree: Tree, new: NewCategory, old: Category | None) -> None:
    if new.parent_id is not None and new.parent_id not in tree.by_id:
        raise Invalid.field("parent_id", "There is no such category.")
    if old is not None and new.parent_id in tree.below(old.id):
        raise Invalid.field("parent_id", "A category cannot be inside itself.")
    height = tree.height(old.id) if old else 1
    if len(tree.path(new.parent_id)) + height > DEPTH_MAX:
        raise Invalid.field("parent_id", "Categories are at most {max} levels deep.", max=DEPTH_MAX)
    taken = {one.title.lower() for one in tree.children(new.parent_id) if old is None or one.id != old.id}
    if new.title.lower() in taken:
        raise Invalid.field("title", "There is a category with this title here already.")


def _missing() -> NotFound:
    return NotFound("category_not_found", "There is no such category.")
