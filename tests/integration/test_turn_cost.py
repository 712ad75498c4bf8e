"""What a turn asks of the database: nothing twice in one transaction, and no more than it needs."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import asyncpg
import pytest

from gptagent.kernel.db import Database
from scenes import Scene

ARTICLE = ("Delivery", "Delivery within the city costs 490 roubles and takes two days.")
QUESTION = "How much is delivery within the city?"
# Of a customer who is known, with `begin` and `commit`; the job itself and the CRM's webhook are not counted.
MOST_STATEMENTS = 71
MOST_TRANSACTIONS = 8
MOST_LOOKS_AT_AGENTS = 3


@dataclass
class Asked:
    """Every statement, with its values, by transaction."""

    transactions: list = field(default_factory=list)

    def note(self, record):
        words = " ".join(record.query.split())
        if words.startswith("begin") or not self.transactions:
            self.transactions.append([])
        self.transactions[-1].append((words, repr(record.args)))

    @property
    def statements(self):
        return [words for transaction in self.transactions for words, _ in transaction]


@pytest.fixture
async def scene(world):
    """With the platform's own patience: a reply that is read back because the machine is slow costs more."""
    scene = await Scene.open(world)
    scene.runner = replace(scene.runner, crm=world.crm())
    return scene


@asynccontextmanager
async def watched(scene):
    """Let the scene's jobs use one connection, which is listened to: no transaction waits for another."""
    asked, db = Asked(), scene.world.db

    async def listen(connection):
        connection.add_query_logger(asked.note)

    async def keep(_connection):
        """As the pool of the platform does."""

    async with asyncpg.create_pool(db.dsn, min_size=1, max_size=1, init=listen, reset=keep) as pool:
        scene.world = replace(scene.world, db=Database(pool, db.dsn, scene.world.vault))
        yield asked
        scene.world = replace(scene.world, db=db)


async def test_a_turn_asks_nothing_twice_in_one_transaction_and_no_more_than_it_needs(scene):
    await scene.write_article(*ARTICLE)
    async with watched(scene) as asked:
        await scene.says("Hello, how much is delivery?")
        await scene.advance()  # the connection learns the types it has not seen
        await scene.says(QUESTION)
        asked.transactions.clear()
        await scene.advance()
    assert [outcome for outcome, _ in await scene.outcomes()] == ["reply", "reply"]
    for transaction in asked.transactions:
        assert len(set(transaction)) == len(transaction), transaction
    looks = [one for one in asked.statements if "from app.agent " in one]
    assert 0 < len(looks) <= MOST_LOOKS_AT_AGENTS, looks
    assert len(asked.transactions) <= MOST_TRANSACTIONS, asked.transactions
    assert len(asked.statements) <= MOST_STATEMENTS, asked.statements
