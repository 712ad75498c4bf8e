"""The ledger of promises: what a reply promises becomes a task in the CRM as it is sent, or is not said."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm
from gptagent.features.crm.model import NewTask
from gptagent.features.dialog.acting.promises import MARK, promises_in, without
from gptagent.features.dialog.context import TurnContext, not_found
from gptagent.features.dialog.model import PROMISE, Answer
from gptagent.features.organizations import service as organizations
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.i18n import translate

TASK_PROMISE_CHARS = 1_000
PROMISE_TASK = "The agent has promised the customer: “{promise}” Please see that it is kept."
_MAY = (
    "If you promise that somebody of the company will call, send, check or come back, write {mark} right "
    "after that sentence: a colleague gets it as a task."
)
ONLY_PROMISED = (
    "Your reply was not sent: it only promises what nobody would get to know of. Write the whole reply "
    "again, without any promise, with what the passages say about the question and their numbers. If they do "
    "not answer it, write exactly NO_ANSWER and nothing else."
)
_MAY_NOT = "Do not promise that anybody will call, send, check or come back: nobody would get to know of it."


def promise_rule(context: TurnContext) -> str:
    """Return what a model is told about promises in this conversation."""
    return _MAY.format(mark=MARK) if _can_owe(context) else _MAY_NOT


def only_promised(context: TurnContext, answer: Answer, known: Sequence[str]) -> bool:
    """Tell whether nothing is left of a reply where what it promises may not be said."""
    if answer.outcome != "reply" or _can_owe(context):
        return False
    marked = [one.text for one in answer.promises]
    found = promises_in(answer.text, marked=marked, known=known)
    return bool(found) and not without(answer.text, found)


def settled(context: TurnContext, answer: Answer, known: Sequence[str]) -> Answer:
    """Return a model's reply with its promises noted; where no task can be made of them, without them.

    `answer.promises` are those the model has marked, `known` texts that it may quote.
    """
    if answer.outcome != "reply":
        return replace(answer, promises=())
    found = promises_in(answer.text, marked=[one.text for one in answer.promises], known=known)
    if not found or _can_owe(context):
        return replace(answer, promises=tuple(found))
    observe.PROMISES.labels("unsaid").inc()
    text = without(answer.text, found)
    if text:
        return replace(answer, text=text, promises=())
    return not_found(context.agent, answer.by, PROMISE)


async def owe_promises(session: Session, conversation: Conversation, answer: Answer) -> None:
    """Have what a reply that has left promises made a task. Comes with the end of its turn, so once."""
    kept = [one for one in answer.promises if one.text in answer.text]
    record = _record(conversation)
    if not kept or record is None:
        return
    due = utcnow() + timedelta(minutes=min(one.due_in_minutes for one in kept))
    text = promise_task(await organizations.get_locale(session), answer)
    task = NewTask(record[1], text, due, kind=record[0])
    await crm.owe_task(session, conversation.connection_id, task, conversation_id=conversation.id)
    observe.PROMISES.labels("task").inc()


def promise_task(locale: str, answer: Answer) -> str:
    """Return what the task says; empty if what was said promises nothing."""
    kept = [one.text for one in answer.promises if one.text in answer.text]
    return translate(locale, PROMISE_TASK, promise=" ".join(kept)[:TASK_PROMISE_CHARS]) if kept else ""


def _can_owe(context: TurnContext) -> bool:
    """A chat that is only played may have no deal where a real one would."""
    return context.is_rehearsal or _record(context.conversation) is not None


def _record(conversation: Conversation) -> tuple[Literal["lead", "contact"], int] | None:
    """Return what a task can be made on: the deal, else the contact."""
    if conversation.lead_id is not None:
        return "lead", conversation.lead_id
    return None if conversation.contact_id is None else ("contact", conversation.contact_id)
