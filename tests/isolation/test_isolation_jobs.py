"""Every job, run by a real worker in Charlie's envelope with the ids of Alice's rows."""

import asyncio
import json

import pytest

from gptagent.bootstrap import build_jobs
from gptagent.kernel.jobs import JobContext
from isolation.estate import snapshot, tables_of_tenants

LOOK_EVERY_SECONDS = 0.1  # the worker needs the processor and the database more than who waits for it
# Each job's payload and the estate's attributes that fill it.
CASES = {
    "dialog.act": {"turn_id": "turn_id"},
    "dialog.advance": {"conversation_id": "conversation_id"},
    "crm.perform_task": {"task_id": "task_id"},
    "crm.perform_action": {"action_id": "action_id"},
    "crm.widget_said": {"slot_id": "slot_id"},
    "conversations.fetch_attachment": {"attachment_id": "pending_id"},
    "dialog.hear": {"attachment_id": "attachment_id"},
    "conversations.remember": {"conversation_id": "conversation_id"},
    "dialog.follow_delivery": {"conversation_id": "conversation_id"},
    "crm.process_delivery": {"delivery_id": "delivery_id"},
    "crm.check_webhook": {"connection_id": "connection_id"},
    "crm.reconcile": {"connection_id": "connection_id"},
    "crm.sync": {"sync_id": "sync_id"},
    "crm.renew_token": {"connection_id": "connection_id"},
    "crm.tell_broken": {"connection_id": "connection_id"},
    "dialog.resume": {"connection_id": "connection_id"},
    "mail.send": {"letter_id": "letter_id"},
    "knowledge.crawl": {"site_id": "site_id"},
    "dialog.rehearse": {"rehearsal_id": "replay_id"},
    "knowledge.embed": {},
    "knowledge.measure_reranker": {},
    "dialog.send_files": {"turn_id": "turn_id"},
    "dialog.send_outgoing": {"conversation_id": "conversation_id"},
    "dialog.suggest": {"conversation_id": "conversation_id"},
    "knowledge.ingest": {"document_id": "document_id"},
    "knowledge.measure": {"run_id": "run_id"},
    "knowledge.check_gaps": {"article_id": "article_id"},
    "dialog.propose_article": {"conversation_id": "conversation_id"},
    "knowledge.scan": {},
    "dialog.run_scenarios": {"run_id": "scenario_run_id"},
    "knowledge.extract_graph": {"source_id": "article_id"},
    "knowledge.measure_graph": {},
    "inference.tell_budget": {},
}


def specs(platform):
    return {spec.name: spec for spec in build_jobs(platform)}


def payload(name, estate):
    return {key: str(getattr(estate, attribute)) for key, attribute in CASES[name].items()}


def context(platform, estate):
    return JobContext(platform.db, platform.files, estate.scope, 1, 1)


async def texts_of(platform, estate):
    """Return all rows of a workspace as one text."""
    async with platform.db.session(estate.scope) as session:
        found = [
            await session.fetchval(
                f"select string_agg(t::text, '|') from app.{table} t"  # noqa: S608 - a name of the catalogue
            )
            for table in await tables_of_tenants(session)
        ]
    return "\n".join(filter(None, found))


async def queued(platform, estate):
    async with platform.db.installation() as session:
        return await session.fetch(
            "select status::text, entrypoint from jobs.pgqueuer where headers->>'org' = $1",
            str(estate.scope.org_id),
        )


def test_every_job_has_a_tenant_case(platform):
    """TEN-1"""
    missing = specs(platform).keys() - CASES.keys()
    assert not missing, f"add {missing} to CASES here: the payload and which of Alice's ids fill it"
    assert not CASES.keys() - specs(platform).keys(), "these cases are of jobs that are gone"


async def test_a_job_in_another_tenants_envelope_touches_nothing(platform, worker, alice, charlie):
    before = await snapshot(platform.db, alice.scope)
    async with platform.db.session(charlie.scope) as session:
        for name in CASES:
            await session.enqueue(name, payload(name, alice))
    while [job for job in await queued(platform, charlie) if job["status"] != "failed"]:
        assert worker.process.poll() is None
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    assert await snapshot(platform.db, alice.scope) == before
    # A schedule may have given him work of his own by now: what waits is no fault, what failed is one.
    died = [job["entrypoint"] for job in await queued(platform, charlie) if job["status"] == "failed"]
    assert died == [], "a job died instead of finding nothing to do"
    assert alice.canary not in await texts_of(platform, charlie)
    assert alice.canary not in worker.log


@pytest.mark.parametrize("name", CASES)
async def test_giving_up_a_job_in_another_tenants_envelope_touches_nothing(name, platform, alice, charlie):
    before = await snapshot(platform.db, alice.scope)
    on_dead = specs(platform)[name].on_dead
    if on_dead is not None:
        await on_dead(context(platform, charlie), **payload(name, alice))
    assert await snapshot(platform.db, alice.scope) == before
    assert alice.canary not in await texts_of(platform, charlie)


async def test_the_same_jobs_in_their_own_envelope_have_their_effect(platform, worker, dora):
    """Without this, a payload that fits no row, or a lost envelope, would pass the tests above."""
    before = await snapshot(platform.db, dora.scope)
    async with platform.db.session(dora.scope) as session:
        for name in CASES:
            await session.enqueue(name, payload(name, dora))
    unchanged = {"turn", "crm_task", "crm_action", "document", "site"}
    async with asyncio.timeout(120):
        while unchanged:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            now = await snapshot(platform.db, dora.scope)
            unchanged = {table for table in unchanged if now[table] == before[table]}
    assert worker.process.poll() is None


async def test_reasons_of_dead_jobs_name_nobody(platform, alice):
    async with platform.db.installation() as session:
        rows = await session.fetch("select traceback from jobs.pgqueuer_log where traceback is not null")
    assert alice.canary not in json.dumps([row["traceback"] for row in rows])
