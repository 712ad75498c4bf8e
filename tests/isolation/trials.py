"""What a workspace has of trying its agents, for the estate of a tenant."""

import json

from gptagent.kernel.ids import new_id


async def furnish_tests(session, insert, canary, made):
    """A test chat with an answer, and a turn that was played again."""
    told = {"agent_id": str(made["agent_id"]), "agent_name": canary}
    told |= {"input": {"connection_id": str(made["connection_id"]), "channel": canary, "unanswered": [1]}}
    trace = json.dumps({**told, "blocks": [{"kind": "rules", "text": canary, "chars": 1}]})
    of_draft = {"conversation_id": made["conversation_id"], "turn_id": made["reply_draft_id"]}
    await insert(session, "turn_trace", **of_draft, trace=trace)
    chat_id, played_id, replay_id = new_id(), new_id(), new_id()
    person_id = session.scope.actor.id
    place = {"lead_id": made["lead_id"], "contact_id": made["contact_id"], "channel": canary}
    place |= {"connection_id": made["connection_id"], "overrides": json.dumps({"goal": canary})}
    own = {"person_id": person_id, "agent_id": made["agent_id"], "title": canary}
    await insert(session, "test_chat", id=chat_id, **own, **place)
    result = {"text": canary, "outcome": "reply", "reason": canary, "by": canary, "sources": [], "plans": []}
    used = {"tokens_in": 1, "tokens_out": 1, "cost_micro_usd": 1, "millis": 1}
    said = {"person_id": person_id, "question": canary, "draft": canary, "error_code": canary}
    said |= {"result": json.dumps({**result, **used, "explanation": {"agent_name": canary}}), "state": "done"}
    said |= {"overrides": json.dumps({"goal": canary})}
    await insert(session, "rehearsal", id=played_id, chat_id=chat_id, **said)
    await insert(session, "rehearsal", id=replay_id, **of_draft, **said)
    return {"chat_id": chat_id, "played_id": played_id, "replay_id": replay_id}
