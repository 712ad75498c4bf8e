"""A word that stands in every text of Alice's workspace is nowhere in what Charlie or a log gets to see."""

import pytest

from isolation.estate import tables_of_tenants
from isolation.routes import CASES, Foreign, Own, fill, place, split

# Columns whose words are not the customer's: a fixed vocabulary of ours.
VOCABULARY = {
    # Of the release before: since settings are a document, nothing is written to them.
    *(f"agent.{name}" for name in ("instructions", "model", "creativity", "not_found_text")),
    "audit_event.action",
    "audit_event.actor_kind",
    "audit_event.target_kind",
    "asked_question.kind",
    "asked_question.stage",
    "attachment.heard_as",
    "attachment.hearing",
    "attachment.state",
    "base_change.part",
    "llm_usage.purpose",
    "base_check.state",
    "finding.kind",
    "gap.status",
    "knowledge_draft.made_by",
    "knowledge_draft.stages",
    "knowledge_draft.status",
    "chunk.page",
    "conversation.channel",
    "crm_action.actor_kind",
    "crm_action.entity",
    "crm_action.error_code",
    "article_file.kind",
    "agent_version.actor_kind",
    "article_version.actor_kind",
    "crm_action.kind",
    "crm_action.state",
    "crm_change.entity",
    "crm_change.key",
    "crm_connection.brand",
    "crm_connection.currency",
    "crm_connection.provider",
    "crm_connection.status",
    "crm_reply_setup.mode",
    "crm_reply_slot.state",
    "crm_field.entity",
    "crm_field.links_to",
    "crm_connection.access_kind",
    "crm_consent.brand",
    "crm_integration.brand",
    "crm_stage.kind",
    "crm_sync.kind",
    "crm_sync.parts",
    "crm_sync.state",
    "site.every",
    "site.kind",
    "site.state",
    "site_page.kind",
    "site_page.state",
    "crm_tag.entity",
    "crm_task.state",
    "crm_task.record_kind",
    "crm_delivery.source",
    "crm_delivery.state",
    "crm_connection.hook_state",
    "document.error_code",
    "document.status",
    "file_garbage.key",  # the worker empties it
    "gram.gram",  # three letters
    "gram.lexeme",  # no words with digits; what may not be heard of these: test_knowledge_spelling.py
    "graph_alias.type",
    "graph_entity.type",
    "graph_reading.method",
    "graph_reading.state",
    "graph_relation.kind",
    "handoff.made_by",
    "handoff.reason",
    "invitation.role",
    "knowledge_question.actor_kind",
    "knowledge_run.error_code",
    "knowledge_run.figures",
    "knowledge_run.state",
    "member.role",
    "member.status",
    "memory.author",
    "memory.kind",
    "message.author",
    "message.delivery_status",
    "oidc_provider.role",
    "action_proposal.action",
    "action_proposal.degree",
    "action_proposal.state",
    "action_run.state",
    "budget.when_exhausted",
    "budget_use.level",
    "budget_use.period",
    "outgoing.kind",
    "outgoing.send_route",
    "outgoing.state",
    "reply_file.state",
    "replayed_turn.verdict",
    *(f"scenario_run.{name}" for name in ("kind", "state", "target")),
    "script.family",
    "script.kind",
    "suggestion.state",
    "rehearsal.state",
    "turn.draft_state",
    "turn.outcome",
    "turn.send_route",
    "turn.state",
}


async def test_the_canary_sits_in_every_text_of_the_workspace(platform, alice):
    """A new column fails here until isolation/estate.py fills it."""
    async with platform.db.session(alice.scope) as session:
        columns = await session.fetch(
            """select table_name || '.' || column_name as name, table_name, column_name
                 from information_schema.columns
                where table_schema = 'app' and data_type in ('text', 'json', 'jsonb', 'character varying')
                  and table_name = any ($1)""",
            await tables_of_tenants(session),
        )
        silent = [
            row["name"]
            for row in columns
            if not await session.fetchval(
                f"""select exists (select from app.{row["table_name"]}
                                    where {row["column_name"]}::text like '%' || $1 || '%')""",  # noqa: S608 - names of the catalogue
                alice.canary,
            )
        ]
    assert set(silent) <= VOCABULARY


@pytest.mark.parametrize("who", ["alice", "charlie"])
async def test_the_owner_hears_the_canary_and_nobody_else(who, as_alice, as_charlie, alice):
    """Through every route at once, lists, objects and searches; for the owner it must be there."""
    caller = as_alice if who == "alice" else as_charlie
    heard = []
    for name, case in CASES.items():
        method, path = split(name)
        if method != "GET" or not isinstance(case, Own | Foreign) or path.endswith("/live"):
            continue
        path = place(fill(path, case, alice) if isinstance(case, Foreign) else path, caller.estate)
        response = await caller.call(method, path, **case.options)
        if alice.canary in response.text:
            heard.append(name)
    assert bool(heard) == (who == "alice"), heard


async def test_the_logs_of_the_web_process_hold_no_canary(web, as_alice, as_charlie, alice):
    for caller in (as_alice, as_charlie):
        for path in ("/api/v1/agents", f"/api/v1/articles?search={alice.canary}"):
            await caller.call("GET", path)
    assert alice.canary not in web.log
    assert alice.email not in web.log
    assert as_alice.headers["authorization"].split()[1] not in web.log
