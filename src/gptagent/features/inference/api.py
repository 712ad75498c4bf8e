"""What a workspace allows models, over REST."""

from fastapi import APIRouter

from gptagent.features.inference.budgets.api import BudgetApi
from gptagent.features.inference.masking.api import MaskingApi
from gptagent.kernel.db import Database


def routers(db: Database) -> tuple[APIRouter, ...]:
    """Return those of what models are not told and of what they may cost."""
    return MaskingApi(db).router(), BudgetApi(db).router()
