"""The verbs of facts about the company."""

from datetime import datetime

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.facts import store
from gptagent.features.knowledge.facts.model import FACTS_MAX_CHARS, CompanyFacts
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid


async def get_facts(session: Session) -> CompanyFacts:
    """Return what is told about the company; empty if nothing is."""
    return await store.fetch_facts(session)


async def write_facts(
    session: Session, content: str, *, version: int | None = None, now: datetime
) -> CompanyFacts:
    """Replace what is told. Raises Invalid, and Conflict if `version` is no longer the one that is kept."""
    text = content.strip()
    if len(text) > FACTS_MAX_CHARS:
        raise Invalid.field("content", "Write at most {max} characters.", max=FACTS_MAX_CHARS)
    old = await store.fetch_facts(session)
    if text == old.content and version in {None, old.version}:
        return old
    saved = await store.save_facts(session, text, version, now)
    if saved is None:
        raise Conflict("facts_changed", "Somebody else changed these facts. Reload them and try again.")
    await audit.record(session, Entry("company_facts.updated", "company_facts", "", {"content": None}))
    return saved
