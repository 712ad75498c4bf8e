"""What becomes of a turn for which no model is asked any more."""

from gptagent.features.dialog.model import Answer
from gptagent.features.inference.budgets.model import EXHAUSTED
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.kernel.errors import AppError


def instead(error: AppError) -> Answer | None:
    """Return the hand-off that a workspace wants once its budget is used up; None to quote the base."""
    if isinstance(error, BudgetExhausted) and error.then == "hand_off":
        return Answer("", "handed_off", "gate", reason=error.code)
    return None


def is_left_to_a_person(answer: Answer) -> bool:
    """Whether a task asks a person to answer and nothing is said meanwhile: the chat stays the agent's."""
    return answer.outcome == "handed_off" and answer.reason == EXHAUSTED
