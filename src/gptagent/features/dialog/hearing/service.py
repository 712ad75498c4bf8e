"""The media barrier: a turn waits for the files it is about, within bounds; what is not known is not told."""

import re
from collections.abc import Sequence
from datetime import timedelta

from gptagent.features.conversations.attaching import service as attaching
from gptagent.features.conversations.model import Message
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.dialog import service, store
from gptagent.features.dialog.context import TurnContext, not_found
from gptagent.features.dialog.lanes import store as lane_store
from gptagent.features.dialog.model import NOT_HEARD, Answer, Pace, Turn
from gptagent.features.inference import service as inference
from gptagent.features.organizations import service as organizations
from gptagent.kernel.db import Session
from gptagent.kernel.i18n import LOCALES, translate

ASK_AGAIN_VOICE = "Unfortunately I cannot listen to voice messages here. Could you write it in words, please?"
ASK_AGAIN = (
    "Unfortunately I cannot open what you have sent. Could you write in words what it is about, please?"
)
NOTE = """\
What a machine made of the customer's voice messages, pictures and documents is marked as such and may be
inexact. Where the content of a file is not known, say that you cannot open it and ask the customer to write
it in words. Never guess what is in it."""
_SPOKEN = frozenset({"voice", "audio"})
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)


async def await_files(session: Session, turn: Turn, unanswered: Sequence[Message], pace: Pace) -> bool:
    """Whether the turn is given back until the files it is about have been heard, within `pace.files_wait`.

    However many come one after the other, a burst waits no longer for them than for its words.

    It leaves no trace: what the customer writes meanwhile gets the same answer.
    """
    seqs = [one.seq for one in unanswered if one.is_unheard]
    if turn.answer is not None or not seqs:
        return False
    if not await attaching.is_being_heard(session, turn.conversation_id, seqs, pace.files_wait):
        return False
    delay = timedelta(seconds=await speaking.find_delay(session, turn.conversation_id))
    if await lane_store.has_waited(session, turn.conversation_id, service.burst_cap(delay)):
        return False
    await service.give_back(session, turn, due_in=pace.files_retry)
    await store.forget_turn(session, turn.id)
    return True


async def answer_wordless(session: Session, context: TurnContext) -> Answer:
    """Answer a turn of whose messages not a word is known: the customer is asked for words, once; if what
    comes then is as mute, a person is. Nothing is said of what was sent.
    """
    mute = [one for one in context.unanswered if one.is_unheard]
    if not mute:
        return not_found(context.agent, "gate")
    if _has_asked(context.history):
        return Answer("", "handed_off", "gate", reason=NOT_HEARD)
    is_spoken = all(one.attachment_type in _SPOKEN for one in mute)
    locale = _locale(context) or await organizations.get_locale(session)
    text = translate(locale, ASK_AGAIN_VOICE if is_spoken else ASK_AGAIN)
    return Answer(text, "reply", "gate", reason=NOT_HEARD)


async def count_in(session: Session, context: TurnContext) -> None:
    """Let what hearing the files of a turn has cost be told and counted with it, though it came before."""
    seqs = [one.seq for one in context.unanswered if one.heard or one.seen]
    if not seqs or context.turn_id is None or context.is_rehearsal:
        return
    files = await attaching.list_attachments(session, context.conversation.id, seqs)
    heard = await inference.claim_usage(session, context.turn_id, [one.id for one in files], "hearing")
    for reply in heard:
        context.trace.called("hearing", reply)


def tell(message: Message) -> str:
    """Return a message as a model is told it; what a machine made of a file is marked."""
    parts = [message.text.strip()]
    if message.heard:
        parts.append(f"[Voice message, written down by a machine:] {message.heard}")
    if message.seen:
        what = "Picture" if message.attachment_type == "picture" else "File"
        parts.append(f"[{what}, read by a machine:] {message.seen}")
    if message.is_unheard and message.author == "customer":
        what = "voice message" if message.attachment_type in _SPOKEN else "file"
        parts.append(f"[A {what} whose content is not known.]")
    return "\n".join(filter(None, parts))


def note(messages: Sequence[Message]) -> str:
    """Return what a model is to know of the files of these messages; nothing if there are none."""
    has_files = any(one.author == "customer" and one.attachment_type is not None for one in messages)
    return NOTE if has_files else ""


def _has_asked(history: Sequence[Message]) -> bool:
    """Whether the last thing the agent said was to write in words."""
    last = next((one.text for one in reversed(history) if one.author != "customer"), "")
    asked = [translate(locale, text) for locale in LOCALES for text in (ASK_AGAIN_VOICE, ASK_AGAIN)]
    return any(last.endswith(text) for text in asked)


def _locale(context: TurnContext) -> str | None:
    """Return the customer's language, or the one that is set, as far as we have words in it."""
    language = context.settings.language
    if not language.detect:
        return language.fixed if language.fixed in LOCALES else None
    for one in reversed(context.history):
        if one.author == "customer" and _CYRILLIC.search(one.said):
            return "ru"
        if one.author == "customer" and _LATIN.search(one.said):
            return "en"
    return None
