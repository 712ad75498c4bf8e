"""What tests of the graph write, have read, and look at."""

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.extraction import service as reading
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.graph import service as graph
from gptagent.features.knowledge.model import NewArticle
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext

PATTERNS = GraphJobs(None)


def script(control, *rules):
    control.post("/script?replace=1", json=list(rules)).raise_for_status()


async def write(database, scope, title, content):
    async with database.session(scope) as session:
        made = await knowledge.create_article(session, NewArticle(title, content), now=utcnow())
    return made.id


async def read(jobs, database, scope, article_id):
    await jobs.extract(JobContext(database, None, scope, 1, 1), str(article_id))


async def cards(database, scope):
    """Return all entities with all that is known of them, by name."""
    async with database.session(scope) as session:
        found, _counts = await graph.find_entities(session, limit=100)
        return {one.name: await graph.get_card(session, one.id) for one in found}


async def progress(database, scope):
    async with database.session(scope) as session:
        return await reading.get_progress(session, now=utcnow())


def facts(card):
    return {(fact.attribute, fact.value) for fact in card.facts}
