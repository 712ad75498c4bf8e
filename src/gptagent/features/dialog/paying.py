"""In whose budget what a turn asks of models is counted."""

from gptagent.features.dialog.context import TurnContext
from gptagent.features.inference.model import Use
from gptagent.kernel.scope import Scope


def use_of(scope: Scope, context: TurnContext) -> Use:
    """Return it: workspace, agent and customer. A rehearsal takes nothing from its customer."""
    customer = None if context.is_rehearsal else context.conversation.customer
    return Use(scope, customer, context.agent.id, context.settings.budget, context.turn_id)
