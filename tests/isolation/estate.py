"""Alice's workspace with a row in every table, and one word, the canary, in each of its texts."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from cast import PASSWORD, make_owner
from gptagent.features.agents import service as agents
from gptagent.features.agents.asking import list_askers
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations.attaching import service as attaching
from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting.service import INTEGRATION_PURPOSE, REFRESH_PURPOSE
from gptagent.features.crm.replying import service as replying
from gptagent.features.crm.replying import transports
from gptagent.features.identity.service import NewPerson, hash_token
from gptagent.features.inference.masking.service import set_masking
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.facts import service as facts
from gptagent.features.knowledge.facts.model import NewFact
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.scripts import service as scripts
from gptagent.features.knowledge.scripts.model import NewScript
from gptagent.features.knowledge.staging import store as staging
from gptagent.features.knowledge.staging.model import StageKey
from gptagent.features.mail import service as mail
from gptagent.features.mail.model import Letter
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope
from isolation.base_readings import NEVER, furnish_budgets, furnish_findings, furnish_graph, furnish_vectors
from isolation.rows import insert, rehearsed
from isolation.trials import furnish_tests

# The tests ask thousands of times: a text of up to 15 kB is planned once, a longer one each time.
TABLES_AT_ONCE = 40

LEAD, STAGE, PIPELINE, CONTACT = 501, 601, 701, 801


@dataclass(frozen=True)
class Estate:
    """A furnished workspace: its owner's ticket and the ids of its objects."""

    scope: Scope
    number: int
    slug: str
    email: str
    canary: str
    hook_secret: str
    account_id: int
    agent_id: UUID
    article_id: UUID
    file_id: UUID
    agent_file_id: UUID
    script_id: UUID
    objection_id: UUID
    company_fact_id: UUID
    category_id: UUID
    entity_id: UUID
    fact_id: UUID
    relation_id: UUID
    document_id: UUID
    site_id: UUID
    connection_id: UUID
    conversation_id: UUID
    integration_id: UUID
    task_id: UUID
    delivery_id: UUID
    sync_id: UUID
    action_id: UUID
    change_id: UUID
    turn_id: UUID
    reply_draft_id: UUID
    proposal_id: UUID
    outgoing_id: UUID
    invitation_id: UUID
    api_key_id: UUID
    provider_id: UUID
    session_id: UUID
    grant_id: UUID
    passkey_id: UUID
    letter_id: UUID
    slot_id: UUID
    attachment_id: UUID
    memory_id: UUID
    pending_id: UUID
    question_id: UUID
    run_id: UUID
    gap_id: UUID
    draft_id: UUID
    finding_id: UUID
    chat_id: UUID
    played_id: UUID
    replay_id: UUID
    scenario_id: UUID
    scenario_run_id: UUID

    @property
    def person_id(self) -> UUID:
        """Its owner's."""
        return self.scope.actor.id

    @property
    def lead_id(self) -> int:
        """The same number in every workspace: what tells them apart is the connection."""
        return LEAD

    @property
    def version(self) -> int:
        """Of the article: each workspace's first one begins like this."""
        return 1

    @property
    def contact_id(self) -> int:
        return CONTACT

    def ids(self) -> set[str]:
        """Return every id by which an object of this workspace could be recognised."""
        return {str(value) for value in vars(self).values() if isinstance(value, UUID)} | {
            str(self.scope.org_id),
            str(self.scope.actor.id),
            str(self.number),
        }


async def furnish(db: Database, vault: Vault, canary: str) -> Estate:
    """Make a workspace named after its canary, with every kind of object in it."""
    email = f"{canary}@example.test"
    person = NewPerson(email, f"Alice {canary}", PASSWORD, canary)
    scope = await make_owner(db, person, f"Acme {canary}", canary)
    secret = f"secret-{canary}"
    async with db.session(scope) as session:
        (workspace,) = await organizations.list_workspaces(session, scope.actor.id)
        made = {
            **await _verbs(session, canary),
            **await _connection(session, vault, canary, secret, workspace.number),
        }
        await _places(session, canary, made)
        await set_masking(session, ["card"], now=utcnow())
        await furnish_budgets(session, made["agent_id"])
        made |= await _scripts(session, canary, made["connection_id"])
        made |= await _conversation(session, canary, made["connection_id"], made["agent_id"])
        made |= await furnish_tests(session, insert, canary, made | {"lead_id": LEAD, "contact_id": CONTACT})
        made |= await _access(session, vault, canary)
        made |= await _account(session, canary)
    return Estate(
        scope=scope,
        number=workspace.number,
        slug=workspace.slug,
        email=email,
        canary=canary,
        hook_secret=secret,
        account_id=workspace.number,
        **made,
    )


async def _verbs(session: Session, canary: str) -> dict[str, UUID]:
    agent = await agents.create_agent(session, f"Agent {canary}", locale="en")
    texts = {"instructions": f"Be kind, {canary}.", "not_found_text": canary, "model": canary}
    await agents.publish(session, agent.id, {**texts, "is_active": True}, note=canary)
    await agents.save_draft(session, agent.id, {"goal": canary})
    new = NewCategory(f"Category {canary}", f"About {canary}")
    category = await categories.create_category(session, new, now=utcnow())
    written = NewArticle(
        f"Title {canary}",
        f"# Head {canary}\n\nThe word is {canary}.",
        description=canary,
        tags=(canary,),
        categories=(category.id,),
    )
    article = await knowledge.create_article(session, written, now=utcnow())
    relative = NewArticle(f"Relative {canary}", f"Related to {canary}.", related=(article.id,))
    await knowledge.create_article(session, relative, now=utcnow())
    finding_id = await furnish_findings(session, canary, article.id)
    await furnish_vectors(session, canary)
    made = await furnish_graph(session, canary)
    file_id = await _sent_file(session, canary, article.id)
    await session.publish(f"agents/{canary}", canary, {"agent_id": canary})
    made |= {"agent_id": agent.id, "article_id": article.id, "category_id": category.id}
    own_id = await _agent_file(session, canary, agent.id)
    return {**made, "finding_id": finding_id, "file_id": file_id, "agent_file_id": own_id}


async def _agent_file(session: Session, canary: str, agent_id: UUID) -> UUID:
    file_id, now = new_id(), utcnow()
    names = {"title": canary, "file_name": canary, "mime": canary, "sha256": f"{canary}-own"}
    names |= {"indexed_sha256": canary, "blob_key": session.scope.key("documents", f"{canary}-own")}
    made = {"size_bytes": 1, "created_at": now, "updated_at": now}
    await insert(session, "document", id=file_id, agent_id=agent_id, **names, **made)
    return file_id


async def _places(session: Session, canary: str, made: dict[str, UUID]) -> None:
    for kind in ("document", "site"):
        placed = {f"{kind}_id": made[f"{kind}_id"], "category_id": made["category_id"]}
        await insert(session, f"{kind}_category", **placed)
    stage = StageKey(made["connection_id"], PIPELINE, STAGE)
    await staging.bind_document(session, made["document_id"], [stage])
    told = NewFact(f"Fact {canary}", (made["agent_id"],), (stage,))
    fact = await facts.create_fact(session, told, askers=list_askers, now=utcnow())
    made["company_fact_id"] = fact.id
    await insert(session, "company_facts", content=canary, version=1, updated_at=utcnow())


async def _scripts(session: Session, canary: str, connection_id: UUID) -> dict[str, UUID]:
    stage = StageKey(connection_id, PIPELINE, STAGE)
    spoken = NewScript("greeting", canary, f"Hello from {canary}.", (stage,))
    script = await scripts.create_script(session, "script", spoken, now=utcnow())
    answered = NewScript("price", f"What {canary}\nlonely", f"Because {canary}.")
    objection = await scripts.create_script(session, "objection", answered, now=utcnow())
    return {"script_id": script.id, "objection_id": objection.id}


async def _sent_file(session: Session, canary: str, article_id: UUID) -> UUID:
    file_id = new_id()
    kept = {"blob_key": session.scope.key("article-files", canary), "sha256": canary, "created_at": utcnow()}
    told = {"name": f"{canary}.pdf", "kind": "document", "mime": canary, "size_bytes": 1}
    await insert(session, "article_file", id=file_id, article_id=article_id, **told, **kept)
    return file_id


async def _connection(
    session: Session, vault: Vault, canary: str, secret: str, account_id: int
) -> dict[str, UUID]:
    org_id, connection_id, document_id, task_id = session.scope.org_id, new_id(), new_id(), new_id()
    sync_id, delivery_id = new_id(), new_id()
    await insert(
        session,
        "crm_connection",
        id=connection_id,
        provider="kommo",
        host=f"{canary}.kommo.test",
        account_id=account_id,
        name=canary,
        token_sealed=vault.seal(f"token-{canary}", org_id=org_id, purpose=crm.TOKEN_PURPOSE),
        hook_hash=crm.hash_secret(secret),
        hook_sealed=vault.seal(secret, org_id=org_id, purpose=crm.HOOK_PURPOSE),
        status_reason=canary,
        hook_error=canary,
        hook_wanted=canary,
        hook_codes=[canary],
        care_at=NEVER,  # a worker that runs meanwhile finds nothing to do
        poll_at=NEVER,
        client_id=canary,
        scopes=[canary],
    )
    await insert(
        session,
        "document",
        id=document_id,
        title=canary,
        file_name=f"{canary}.pdf",
        unread=json.dumps([[canary, "damaged"]]),
        mime=canary,
        size_bytes=1,
        sha256=canary,
        indexed_sha256=canary,
        blob_key=session.scope.key("documents", canary),
        created_at=utcnow(),
        updated_at=utcnow(),
    )
    site_id = await _site(session, canary)
    question_id = new_id()
    actor = {"actor_kind": "person", "actor_id": session.scope.actor.id}
    made_at = {"created_at": utcnow(), "updated_at": utcnow()}
    await insert(session, "knowledge_question", id=question_id, text=canary, **actor, **made_at)
    expected = {"question_id": question_id, "document_id": document_id}
    await insert(session, "knowledge_question_source", **expected)
    own = {"connection_id": connection_id}
    await insert(session, "crm_pipeline", **own, external_id=PIPELINE, name=canary, sort=1, is_main=True)
    stage = {"pipeline_id": PIPELINE, "external_id": STAGE, "name": canary, "sort": 1, "kind": "open"}
    await insert(session, "crm_stage", **own, **stage)
    await _mirror(session, canary, own)
    await insert(session, "crm_sync", id=sync_id, **own, kind="manual", error_code=canary)
    await insert(session, "crm_event", **own, kind=canary, payload=f'{{"said": "{canary}"}}')
    told = {"kind": canary, "refs": [canary], "error": canary, "payload": f'{{"said": "{canary}"}}'}
    await insert(session, "crm_delivery", **own, **told, id=delivery_id, state="failed", received_at=utcnow())
    await insert(session, "crm_seen", **own, key=canary.encode())
    await insert(session, "erased_message", **own, message_hash=canary.encode())
    integration_id = await _integration(session, vault, canary, connection_id)
    task = {"lead_id": LEAD, "text": canary, "due_at": utcnow() + timedelta(days=1)}
    await insert(session, "crm_task", id=task_id, **own, **task)
    acted = await _action(session, canary, own)
    slot_id = new_id()
    named = {"field_name": canary, "bot_name": canary, "refused_reason": canary}
    secret_sealed = vault.seal(canary, org_id=org_id, purpose=replying.SECRET_PURPOSE)
    await insert(session, "crm_reply_setup", **own, **named, widget_secret_sealed=secret_sealed)
    await insert(session, "crm_lead_claim", **own, lead_id=LEAD, holder=slot_id, until=utcnow())
    said = vault.seal(canary, org_id=org_id, purpose=transports.SLOT_PURPOSE)
    address = {"url_hash": canary.encode(), "url_sealed": said, "said_sealed": said}
    await insert(session, "crm_reply_slot", **own, id=slot_id, lead_id=LEAD, **address)
    run_id = new_id()
    asked = json.dumps([{"question": canary, "rank": 1, "present": 0.9, "removed": 0.1}])
    # Never asked anew by a schedule that runs meanwhile: it knows of more changes than there will be.
    ran = {"state": "done", "changes": 10**6, "results": asked, "created_at": utcnow()}
    await insert(session, "knowledge_run", id=run_id, ended_at=utcnow(), **ran)
    acted |= {"question_id": question_id, "run_id": run_id}
    made = {
        "slot_id": slot_id,
        "site_id": site_id,
        "document_id": document_id,
        "task_id": task_id,
        "sync_id": sync_id,
    }
    return {**own, **made, **acted, "integration_id": integration_id, "delivery_id": delivery_id}


async def _site(session: Session, canary: str) -> UUID:
    site_id, page_id, url = new_id(), new_id(), f"https://{canary}.example.test/"
    settings = {"depth": 1, "page_limit": 10, "every": "none", "robots": canary}
    await insert(session, "site", id=site_id, kind="site", url=url, **settings, error_code=canary)
    texts = {"title": canary, "reason": canary, "etag": canary, "modified": canary, "digest": canary}
    await insert(
        session, "site_page", id=page_id, site_id=site_id, kind="page", url=url, depth=0, run=1, **texts
    )
    names = {"title": canary, "file_name": canary, "mime": canary, "sha256": f"{canary}-page", "url": url}
    names |= {"indexed_sha256": canary}
    key, now = session.scope.key("documents", f"{canary}-page"), utcnow()
    kept = {"size_bytes": 1, "blob_key": key, "created_at": now, "updated_at": now}
    await insert(session, "document", id=new_id(), page_id=page_id, **names, **kept)
    return site_id


async def _action(session: Session, canary: str, own: dict[str, UUID]) -> dict[str, UUID]:
    action_id, change_id = new_id(), new_id()
    held = f'{{"type": "plain", "value": "{canary}"}}'
    record = {"entity": "leads", "entity_id": LEAD}
    asked = {"kind": "update_lead", "actor_kind": "system", "reason": canary, "error_detail": canary}
    request = f'{{"type": "update", "values": {{"name": {held}}}}}'
    await insert(session, "crm_action", id=action_id, **own, **record, **asked, request=request)
    change = {"action_id": action_id, "key": "name", "before": held, "after": held}
    await insert(session, "crm_change", id=change_id, **own, **record, **change, written_at=utcnow())
    return {"action_id": action_id, "change_id": change_id}


async def _mirror(session: Session, canary: str, own: dict[str, UUID]) -> None:
    word = f'[{{"id": 1, "value": "{canary}", "name": "{canary}"}}]'
    fields = f'[{{"field_id": 1, "type": "text", "values": [{{"type": "text", "text": "{canary}"}}]}}]'
    filled = {"fields": fields, "tags": word}
    lead = {"external_id": LEAD, "name": canary, "pipeline_id": PIPELINE, "stage_id": STAGE}
    await insert(session, "crm_lead", **own, **lead, **filled, loss_reason=canary)
    names = {"name": canary, "first_name": canary, "last_name": canary}
    lists = {"phones": [canary], "emails": [canary]}
    await insert(session, "crm_contact", **own, external_id=CONTACT, **names, **lists, **filled)
    kind = {"type": canary, "code": canary, "sort": 1, "enums": word, "is_api_only": False, "is_known": True}
    await insert(session, "crm_field", **own, entity="leads", external_id=1, name=canary, **kind)
    person = {"is_active": True, "is_admin": False, "rights": f'{{"leads": "{canary}"}}'}
    await insert(session, "crm_user", **own, external_id=1, name=canary, **person)
    await insert(session, "crm_tag", **own, entity="leads", external_id=1, name=canary, color=canary)
    await insert(session, "crm_salesbot", **own, external_id=1, name=canary, is_active=True)
    await insert(session, "crm_channel", **own, origin=canary, source_id=1)


async def _integration(session: Session, vault: Vault, canary: str, connection_id: UUID) -> UUID:
    org_id, integration_id = session.scope.org_id, new_id()
    await insert(
        session,
        "crm_integration",
        id=integration_id,
        brand="kommo",
        client_id=f"client-{canary}",
        secret_sealed=vault.seal(canary, org_id=org_id, purpose=INTEGRATION_PURPOSE),
        secret_end=canary,
    )
    await insert(
        session,
        "crm_grant",
        connection_id=connection_id,
        refresh_sealed=vault.seal(canary, org_id=org_id, purpose=REFRESH_PURPOSE),
        renewed_at=utcnow(),
        renew_at=utcnow() + timedelta(days=1),
    )
    await insert(
        session,
        "crm_consent",
        state_hash=hash_token(f"state-{canary}"),
        person_id=session.scope.actor.id,
        brand="kommo",
        client_id=canary,
        expires_at=utcnow() + timedelta(minutes=10),
    )
    return integration_id


async def _conversation(
    session: Session, canary: str, connection_id: UUID, agent_id: UUID
) -> dict[str, UUID]:
    conversation_id, turn_id = new_id(), new_id()
    await insert(
        session,
        "conversation",
        id=conversation_id,
        connection_id=connection_id,
        chat_id=canary,
        lead_id=LEAD,
        contact_id=CONTACT,
        customer_name=canary,
        channel=canary,
        last_seq=1,
        last_text=canary,
        taken_over_at=utcnow(),
        taken_over_by=canary,
        assignee_id=session.scope.actor.id,
        **dict.fromkeys(("mail_subject", "mail_address", "mail_box"), canary),
    )
    own = {"conversation_id": conversation_id}
    words = {"author": "customer", "author_name": canary, "provider_id": canary, "text": canary}
    await insert(session, "message", **own, **words, seq=1, attachment_type=canary, sent_at=utcnow())
    attachment_id, pending_id = new_id(), new_id()
    sealed = session.vault.seal(
        "https://nowhere.example", org_id=session.scope.org_id, purpose=attaching.URL_PURPOSE
    )
    file = {"seq": 1, "kind": canary, "name": canary}
    await insert(session, "attachment", **own, id=pending_id, **file, url_sealed=sealed)
    kept = {"state": "stored", "blob_key": session.scope.key("attachments", canary), "sha256": canary}
    told = {"hearing": "waiting", "words": canary, "heard_by": canary, "unheard_reason": canary}
    await insert(session, "attachment", **own, id=attachment_id, **file, **kept, **told, size_bytes=1)
    memory_id = new_id()
    noted = {"kind": "fact", "topic": canary, "text": canary, "quote": canary, "author": "model"}
    await insert(session, "memory", **own, id=memory_id, seq=1, confidence=0.9, said_at=utcnow(), **noted)
    await insert(session, "memory_reading", **own, read_seq=1, error_code=canary)
    await insert(
        session,
        "delivery_watch",
        **own,
        connection_id=connection_id,
        check_at=utcnow() + timedelta(days=1),
    )
    # Wanted but not due: a worker may take it, and no sweep wakes it by itself.
    await insert(session, "lane", **own, wanted=1)
    ended = {"state": "superseded", "reason": canary, "provider_message_id": canary}
    answer = f'{{"text": "{canary}", "outcome": "reply", "by": "{canary}"}}'
    place = {"agent_id": agent_id, "epoch": 1, "first_seq": 1, "last_seq": 1, "answer": answer}
    await insert(session, "turn", **own, id=turn_id, **place, **ended)
    await insert(session, "conversation_read", **own, person_id=session.scope.actor.id, seq=1)
    replied_id, reply_draft_id = new_id(), new_id()
    await insert(session, "turn", **own, id=replied_id, **place, state="ended", outcome="reply")
    waits = {"state": "ended", "outcome": "draft", "draft_state": "waiting", "draft_at": utcnow()}
    decided = {"draft_by": canary, "draft_note": canary}
    await insert(session, "turn", **own, id=reply_draft_id, **place, **waits, **decided)
    proposal_id = new_id()
    looked = {"state": "done", "intent": canary, "intent_confidence": 0.5, "error_code": canary}
    calls = json.dumps([{"tool": canary, "verdict": canary}])
    await insert(session, "action_run", **own, turn_id=turn_id, calls=calls, **looked)
    proposed = {"action": "create_task", "degree": "approve", "confidence": 0.5, "key": canary}
    words = {"shown": canary, "reason": canary, "error_code": canary, "decided_by": canary}
    fields = json.dumps({"text": canary, "due_in_minutes": 60})
    await insert(
        session, "action_proposal", **own, id=proposal_id, turn_id=turn_id, fields=fields, **proposed, **words
    )
    gap_id = new_id()
    gathered = {"created_at": utcnow(), "updated_at": utcnow()}
    await insert(session, "gap", id=gap_id, **gathered)
    question = {"turn_id": turn_id, "customer": conversation_id, "gap_id": gap_id, "asked_at": utcnow()}
    words = {"kind": "not_found", "support": 0.25, "text": canary, "words": [canary]}
    await insert(session, "asked_question", **own, **question, **words)
    await insert(session, "gap_word", lexeme=canary, gap_id=gap_id, turn_id=turn_id)
    draft_id = new_id()
    proposed = {"made_by": "words", "question": canary, "title": canary, "content": canary, **gathered}
    talk = json.dumps([{"question": canary, "answer": canary}])
    await insert(session, "knowledge_draft", **own, id=draft_id, gap_id=gap_id, talk=talk, **proposed)
    await insert(session, "draft_watch", **own)
    sent = {"file_id": new_id(), "position": 1, "name": canary, "size_bytes": 1, "drive_uuid": canary}
    seen = {"reason": canary, "provider_message_id": canary, "state": "unknown"}
    await insert(session, "reply_file", **own, turn_id=turn_id, **sent, **seen)
    outgoing_id = new_id()
    told = {"reason": canary, "provider_message_id": canary, "state": "unknown", "kind": "reply"}
    await insert(session, "outgoing", **own, id=outgoing_id, seq=1, **told)
    handed = {"made_by": "person", "by_name": canary, "reason": "person", "note": canary}
    me = {"assignee_id": session.scope.actor.id, "outgoing_id": outgoing_id}
    await insert(session, "handoff", **own, id=new_id(), **handed, **me)
    silence = {"agent_id": agent_id, "stage_id": STAGE, "after_seq": 1, "due_at": NEVER}
    await insert(session, "follow_up", **own, **silence)
    thought = {"upto_seq": 1, "state": "ready", "answer": answer}
    await insert(session, "suggestion", **own, id=new_id(), **thought)
    used = {"outcome": canary, "tokens_in": 1, "tokens_out": 1, "duration_ms": 1}
    await insert(session, "llm_usage", turn_id=turn_id, model=canary, **used)
    files = {"attachment_id": attachment_id, "pending_id": pending_id}
    turns = {"turn_id": turn_id, "reply_draft_id": reply_draft_id}
    asked = {"proposal_id": proposal_id, "outgoing_id": outgoing_id}
    made = {"memory_id": memory_id, "gap_id": gap_id, "draft_id": draft_id}
    made |= await rehearsed(session, canary, agent_id, own | {"turn_id": replied_id})
    return {**own, **files, **turns, **asked, **made}


async def _access(session: Session, vault: Vault, canary: str) -> dict[str, UUID]:
    invitation_id, api_key_id, provider_id = new_id(), new_id(), new_id()
    end = utcnow() + timedelta(days=1)
    await insert(
        session,
        "invitation",
        id=invitation_id,
        email=f"{canary}.guest@example.test",
        role="member",
        token_hash=hash_token(f"invitation-{canary}"),
        expires_at=end,
    )
    await insert(
        session,
        "api_key",
        id=api_key_id,
        name=canary,
        description=canary,
        key_hash=hash_token(f"gpa_{canary}"),
        key_start=canary,
        key_end=canary,
        scopes=["view"],
    )
    await insert(
        session,
        "oidc_provider",
        id=provider_id,
        name=canary,
        issuer=f"https://{canary}.example.test",
        client_id=canary,
        secret_sealed=vault.seal(canary, org_id=session.scope.org_id, purpose="oidc"),
        secret_end=canary,
    )
    kept = {"headers": f'{{"x": "{canary}"}}', "body": canary.encode(), "request_hash": b"hash"}
    await insert(session, "idempotency_key", caller=canary, key=canary, status=201, **kept)
    who = replace(session.scope.origin, request_id=canary)
    changed = Entry("agent.updated", "agent", canary, {canary: (canary, None)})
    await audit.record(session, changed, origin=who)
    shown = {"email": canary, "link": "/"}
    letter = Letter("identity/reset_password", f"{canary}@example.test", "en", shown)
    letter_id = await mail.send_letter(session, letter)
    await session.execute("delete from jobs.pgqueuer where entrypoint = 'mail.send'")  # it only lies there
    made = {"invitation_id": invitation_id, "api_key_id": api_key_id, "provider_id": provider_id}
    return {**made, "letter_id": letter_id}


async def _account(session: Session, canary: str) -> dict[str, UUID]:
    """What the person logs in with elsewhere."""
    person_id, session_id, grant_id, passkey_id = session.scope.actor.id, new_id(), new_id(), new_id()
    own = {"person_id": person_id, "device": canary, "address": canary}
    end = utcnow() + timedelta(days=1)
    token_hash = hash_token(f"session-{canary}")
    await insert(session, "web_session", id=session_id, **own, token_hash=token_hash, expires_at=end)
    await insert(session, "api_grant", id=grant_id, **own, workspace_id=session.scope.org_id)
    key = {"credential_id": canary.encode(), "public_key": canary.encode(), "name": canary}
    await insert(session, "passkey", id=passkey_id, person_id=person_id, **key)
    return {"session_id": session_id, "grant_id": grant_id, "passkey_id": passkey_id}


async def tables_of_tenants(session: Session) -> list[str]:
    """Return every table of the schema that has an `org_id`."""
    rows = await session.fetch(
        """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p')
              and a.attname = 'org_id' and not a.attisdropped order by 1"""
    )
    return [row["relname"] for row in rows]


async def snapshot(db: Database, scope: Scope) -> dict[str, str]:
    """Return a digest of all that a workspace has, table by table, its waiting jobs included.

    When a key was used last is noted once a minute: who asks longer than that has it move.
    """
    async with db.session(scope) as session:
        tables = await tables_of_tenants(session)
        found: dict[str, str] = {}
        for first in range(0, len(tables), TABLES_AT_ONCE):
            digests = " union all ".join(map(_digest_of, tables[first : first + TABLES_AT_ONCE]))
            found |= {row["name"]: row["digest"] for row in await session.fetch(digests)}
        found["jobs"] = await session.fetchval(
            """select string_agg(j.id::text || j.entrypoint, '|' order by j.id) from jobs.pgqueuer j
                where j.headers->>'org' = $1""",
            str(scope.org_id),
        )
    return found


def _digest_of(table: str) -> str:
    return f"""select '{table}' as name, md5(coalesce(string_agg(row, '|' order by row), '')) as digest
                 from (select (to_jsonb(t) - 'last_used_at')::text as row from app.{table} t) t"""  # noqa: S608 - a name of the catalogue
