"""Looking at what a model is told and what it says, in a turn."""

from collections.abc import Iterator, Sequence

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.guarding.leaks import Leak, leak_in
from gptagent.features.dialog.guarding.signs import Origin, Sign, signs_in
from gptagent.features.dialog.reading import contact_facts, deal_facts
from gptagent.features.knowledge.model import Passage
from gptagent.kernel import observe

log = structlog.get_logger(__name__)


def watch(context: TurnContext, passages: Sequence[Passage]) -> list[Sign]:
    """Note and return the signs of an attack in what others have written of a prompt. They block nothing."""
    found = signs_in(list(_of_others(context, passages)))
    for sign in found:
        observe.INJECTION_SIGNS.labels(sign.kind, sign.origin).inc()
        context.trace.note("injection_sign", str(sign))
    if found:
        log.info(
            "injection_signs",
            signs=[str(sign) for sign in found],
            conversation_id=str(context.conversation.id),
        )
    return found


def leak_of(
    text: str, context: TurnContext, passages: Sequence[Passage], rules: Sequence[str]
) -> Leak | None:
    """Return what a reply holds that nobody is to see: a key, the platform's `rules`, or instructions."""
    settings = context.settings
    told = [settings.instructions, agents.stage_text(settings, context.place), settings.goal]
    leak = leak_in(text, rules, [one for one in told if one], _open_to_customers(context, passages))
    if leak is not None:
        observe.REPLY_LEAKS.labels(leak).inc()
        log.warning("reply_leak_stopped", leak=leak, conversation_id=str(context.conversation.id))
    return leak


def _of_others(context: TurnContext, passages: Sequence[Passage]) -> Iterator[tuple[Origin, str]]:
    yield from (("customer", one.told) for one in context.unanswered)
    facts = (*deal_facts(context), *contact_facts(context))
    yield from (("crm", f"{label}: {value}") for label, value in facts)
    yield from (("memory", one.text) for one in context.memories)
    yield from (("passage", f"{one.source_title}\n{one.content}") for one in passages)
    yield from (("script", one.text) for one in context.scripts)
    yield "company", context.company.text


def _open_to_customers(context: TurnContext, passages: Sequence[Passage]) -> Iterator[str]:
    yield from (one.content for one in passages)
    yield from (one.text for one in context.scripts)
    yield context.company.text
    yield from (one.told for one in (*context.history, *context.unanswered))
