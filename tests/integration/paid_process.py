"""A process that asks the emulated model within the budgets, to be killed while it waits for the answer.

Given is JSON: where the database and the model are, and whose the call is.
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit
from uuid import UUID

from gptagent.adapters.llm.port import OpenAiCompatible
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.inference.model import ChatTurn, ModelRequest, Use
from gptagent.kernel.db import Database
from gptagent.kernel.scope import SYSTEM, Scope


async def main(given):
    parts = urlsplit(given["url"])
    model = OpenAiCompatible(
        frozenset({(parts.hostname, parts.port)}), f"{given['url']}/v1", "key", "sandbox"
    )
    database = await Database.connect(given["dsn"], max_connections=1)
    use = Use(Scope(UUID(given["org"]), SYSTEM), UUID(given["contact"]), UUID(given["agent"]))
    request = ModelRequest("You answer briefly.", (ChatTurn("user", "Hello " * 40),), 0.2, 60, use=use)
    await GuardedModel(database, model, names=("sandbox",)).complete(request)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
