"""Verbs of masking: what a workspace keeps from providers of models."""

from collections.abc import Collection, Sequence
from datetime import datetime

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.inference.masking import store
from gptagent.features.inference.masking.covering import SAID, Cover, marks_left
from gptagent.features.inference.masking.model import KINDS, Kind, Masking
from gptagent.features.inference.masking.recognising import find, replaced
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid

__all__ = (
    "SAID",
    "Cover",
    "find",
    "get_masking",
    "hidden",
    "marks_left",
    "replaced",
    "set_masking",
)


async def get_masking(session: Session) -> Masking:
    """Return what no provider is told: all kinds, unless the workspace has chosen."""
    return await store.fetch_masking(session)


async def set_masking(
    session: Session, kinds: Collection[str], *, version: int | None = None, now: datetime
) -> Masking:
    """Choose what no provider is told. Raises Invalid, and Conflict if `version` is not the one kept."""
    if set(kinds) - set(KINDS):
        raise Invalid.field("kinds", "Choose of these: {kinds}.", kinds=", ".join(KINDS))
    chosen = [kind for kind in KINDS if kind in kinds]
    old = await store.fetch_masking(session)
    if tuple(chosen) == old.kinds and version in {None, old.version}:
        return old
    saved = await store.save_masking(session, chosen, version, now)
    if saved is None:
        raise Conflict("masking_changed", "Somebody else changed this. Reload it and try again.")
    changes = {"kinds": (", ".join(old.kinds), ", ".join(saved.kinds))}
    await audit.record(session, Entry("masking.updated", "masking", "", changes))
    return saved


def hidden(texts: Sequence[str], kinds: Collection[Kind]) -> list[str]:
    """Return the texts with the kind's name in the place of each value, for what needs no value back."""
    return [replaced(text, kinds, lambda found: f"[{found.kind.upper()}]") for text in texts]
