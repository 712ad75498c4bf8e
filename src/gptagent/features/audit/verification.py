"""Whether the chains still say what was recorded. Read by the owner's role, who sees all of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import store
from gptagent.kernel.db import Session
from gptagent.kernel.scope import PLATFORM_ID

DELETED = "workspace.deleted"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class ChainReport:
    """One chain: how many rows it has, the hash of its last one, and what does not fit."""

    chain: UUID
    rows: int
    head: bytes
    is_closed: bool
    faults: tuple[str, ...]


@dataclass(slots=True)
class _Chain:
    """A chain as it is read. `faults` grows."""

    seq: int
    hash: bytes
    rows: int
    seen: set[bytes]
    faults: list[str]

    def take(self, row: Record) -> None:
        """Hold a row against its own hash and against the row before it."""
        seq = row["seq"]
        if seq != self.seq + 1:
            self.faults.append(f"rows {self.seq + 1} to {seq - 1} are missing")
        elif row["prev"] != self.hash:
            self.faults.append(f"row {seq} does not continue row {self.seq}")
        if _hash(row) != row["hash"]:
            self.faults.append(f"row {seq} was changed")
        self.seq, self.hash = seq, row["hash"]
        self.rows += 1
        self.seen.add(row["hash"])


async def verify_chains(session: Session, expected: Mapping[UUID, bytes]) -> list[ChainReport]:
    """Compute every chain anew; `expected` are hashes of rows that an operator noted earlier, by chain.

    Needs a transaction of the owner's role. What is appended meanwhile is not looked at.
    """
    await store.freeze_view(session)
    heads = {row["chain"]: row for row in await store.heads(session)}
    deleted = {row["workspace"]: row for row in await store.deletions(session, PLATFORM_ID, DELETED)}
    chains = {PLATFORM_ID, *heads, *expected, *await store.chains(session)}
    return [
        await _verify(session, chain, heads.get(chain), deleted.get(str(chain)), expected.get(chain))
        for chain in sorted(chains, key=lambda chain: chain.int)
    ]


async def _verify(
    session: Session, chain: UUID, head: Record | None, deletion: Record | None, noted: bytes | None
) -> ChainReport:
    found = await _read(session, chain)
    is_closed = deletion is not None or (head is not None and head["closed_at"] is not None)
    if is_closed:
        found.faults += _closed_faults(found, head, deletion)
    elif (head["seq"], head["hash"]) != (found.seq, found.hash) if head else found.rows:
        end = f"row {head['seq']} with another hash" if head else "nothing"
        found.faults.append(f"the chain ends with row {found.seq}, but what was kept of its end is {end}")
    if noted is not None and noted not in found.seen | ({head["hash"]} if head and is_closed else set()):
        found.faults.append("the hash that was expected is not in the chain")
    rows, last = (head["seq"], head["hash"]) if head and is_closed else (found.rows, found.hash)
    return ChainReport(chain, rows, last, is_closed, tuple(found.faults))


async def _read(session: Session, chain: UUID) -> _Chain:
    found = _Chain(0, b"", 0, set(), [])
    while rows := await store.rows_after(session, chain, found.seq):
        for row in rows:
            found.take(row)
    return found


def _closed_faults(found: _Chain, head: Record | None, deletion: Record | None) -> list[str]:
    """Hold the kept end of a deleted workspace's chain against what the platform's chain says of it."""
    if deletion is None:
        return ["the chain is closed, but the platform's chain does not tell of it"]
    faults = [f"the workspace was deleted, but {found.rows} rows are there"] if found.rows else []
    kept = (head["seq"], head["hash"].hex()) if head else (None, None)
    if kept != (deletion["rows"], deletion["head"]):
        faults.append("the end of the chain is not the one in the platform's chain")
    return faults


def _hash(row: Record) -> bytes:
    """Return what the row's hash must be. The same rule as app.audit_hash, which may have been changed."""
    said = ", ".join(
        (
            _json(row["org_id"]),
            str(row["seq"]),
            _seconds(row["at"]),
            _json(row["actor_kind"]),
            _json(row["actor_id"]),
            _json(row["acting_for"]),
            _json(row["action"]),
            _json(row["target_kind"]),
            _json(row["target_id"]),
            row["changes"],
            _json(row["address"]),
            _json(row["personal"]),
            _json(row["personal_of"]),
            _json(row["request_id"]),
        )
    )
    return hashlib.sha256(row["prev"] + f"[{said}]".encode()).digest()


def _json(value: str | UUID | bytes | None) -> str:
    """Return a value as PostgreSQL writes it into jsonb."""
    if value is None:
        return "null"
    text = value.hex() if isinstance(value, bytes) else str(value)
    return json.dumps(text, ensure_ascii=False)


def _seconds(at: datetime) -> str:
    """Return the seconds since 1970 with six digits, as `extract(epoch from ...)` does."""
    whole, rest = divmod((at - _EPOCH) // timedelta(microseconds=1), _SECOND)
    return f"{whole}.{rest:06d}"
