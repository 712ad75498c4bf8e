"""All SQL of letters. A letter belongs to the transaction's workspace, or to none."""

from uuid import UUID

from gptagent.kernel.db import Session


async def keep_letter(session: Session, letter_id: UUID, sealed: bytes) -> None:
    await session.execute("select app.keep_letter($1, $2)", letter_id, sealed)


async def read_letter(session: Session, letter_id: UUID) -> bytes | None:
    sealed: bytes | None = await session.fetchval("select app.read_letter($1)", letter_id)
    return sealed


async def forget_letter(session: Session, letter_id: UUID) -> None:
    await session.execute("select app.forget_letter($1)", letter_id)
