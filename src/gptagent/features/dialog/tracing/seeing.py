"""What of a turn's context is frozen into its trace, and how it is thawed to be played again."""

from typing import Any, TypeVar

import msgspec

from gptagent.features.crm.service import ContactCard, LeadCard
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.tracing.model import Input, Trace

Card = TypeVar("Card", LeadCard, ContactCard)


def seen_by(context: TurnContext) -> Trace:
    """Return the context's trace with what the answer was made from."""
    trace, conversation = context.trace, context.conversation
    trace.agent_id, trace.agent_name = context.agent.id, context.agent.name
    trace.agent_version, trace.settings = context.agent.published, context.settings
    trace.input = Input(
        connection_id=conversation.connection_id,
        channel=conversation.channel,
        history=tuple(one.seq for one in context.history),
        unanswered=tuple(one.seq for one in context.unanswered),
        lead=_frozen(context.lead),
        contact=_frozen(context.contact),
    )
    return trace


def thawed(card: dict[str, Any] | None, kind: type[Card]) -> Card | None:
    """Return the deal or contact as it was."""
    return None if card is None else msgspec.convert(card, kind, strict=False)


def _frozen(card: LeadCard | ContactCard | None) -> dict[str, Any] | None:
    if card is None:
        return None
    frozen: dict[str, Any] = msgspec.to_builtins(card)
    return frozen
