"""A platform of its own processes that asks the emulated model, and is its owner's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from gptagent.entrypoints.demo.stage import Stage, raised_stage
from gptagent.kernel.settings import child_environment


@asynccontextmanager
async def owned_stage(model: str, *also_allowed: str) -> AsyncIterator[Stage]:
    """Raise it with the model at this address; its calls are the owner's. `also_allowed`: host:port."""
    place = urlsplit(model)
    environment = {
        "LLM_BASE_URL": f"{model}/v1",
        "LLM_API_KEY": "key",
        "LLM_MODEL": "sandbox",
        "EGRESS_ALLOW": ",".join((f"{place.hostname}:{place.port}", *also_allowed)),
    }
    async with raised_stage({**child_environment(), **environment}) as stage:
        owner = {
            "email": "alice@example.test",
            "given_name": "Alice",
            "password": "correct horse battery",
            "organization": "Shop",
            "setup_token": stage.setup_token,
        }
        signed_in = await stage.platform.call("POST", "/api/v1/auth/register", owner)
        stage.platform.headers["authorization"] = f"Bearer {signed_in['access_token']}"
        yield stage
