"""What becomes of a turn for which no model is asked any more."""

from gptagent.features.dialog.model import Answer
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.kernel.errors import AppError


def instead(error: AppError) -> Answer | None:
    """Return the hand-off that a workspace wants once its budget is used up; None to quote the base."""
    if isinstance(error, BudgetExhausted) and error.then == "hand_off":
        return Answer("", "handed_off", "gate", reason=error.code)
    return None
