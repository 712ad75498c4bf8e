"""Verbs of letters: send one, which is to keep it sealed and queue its job.

Whether letters are sent at all is `Settings.sends_letters`; screens that offer a link instead ask it first.
"""

from uuid import UUID

import msgspec

from gptagent.features.mail import store
from gptagent.features.mail.model import Letter, Message
from gptagent.features.mail.rendering import compose, compose_written
from gptagent.kernel.db import Session
from gptagent.kernel.scope import PLATFORM_ID

__all__ = ["SEND", "compose_written", "forget_letter", "read_letter", "send_letter"]

SEND = "mail.send"


async def send_letter(session: Session, letter: Letter) -> UUID:
    """Write the letter now and let it leave with the caller's transaction; returns its id.

    The database holds it sealed until it is sent, for two days at most. The job knows its id only.
    """
    message = compose(letter)
    sealed = session.vault.seal(
        msgspec.json.encode(message).decode(), org_id=PLATFORM_ID, purpose=_purpose(message.id)
    )
    await store.keep_letter(session, message.id, sealed)
    await session.enqueue(SEND, {"letter_id": str(message.id)})
    return message.id


async def read_letter(session: Session, letter_id: UUID) -> Message | None:
    """Return a letter that waits; None if it was sent, has grown too old, or is another workspace's."""
    sealed = await store.read_letter(session, letter_id)
    if sealed is None:
        return None
    text = session.vault.open(sealed, org_id=PLATFORM_ID, purpose=_purpose(letter_id))
    return msgspec.json.decode(text, type=Message)


async def forget_letter(session: Session, letter_id: UUID) -> None:
    await store.forget_letter(session, letter_id)


def _purpose(letter_id: UUID) -> str:
    return f"letter:{letter_id}"
