"""How accounts, chats and messages look to those who steer the emulator."""

from gptagent.sandbox.kommo.chats import delivery_status
from gptagent.sandbox.kommo.state import Account, Chat, CustomField, Message, Traffic
from gptagent.sandbox.wire import Json


def account(row: Account) -> Json:
    pipeline = row.main_pipeline
    return {
        "account_id": row.id,
        "subdomain": row.subdomain,
        "host": f"{row.subdomain}.kommo.test",
        "name": row.name,
        "amojo_id": row.amojo_id,
        "token": next((token.value for token in row.tokens.values() if not token.revoked), None),
        "user_ids": list(row.users),
        "pipeline": {
            "id": pipeline.id,
            "name": pipeline.name,
            "stages": [
                {"id": stage.id, "name": stage.name, "type": stage.type} for stage in pipeline.stages.values()
            ],
        },
        "chats": len(row.chats),
        "fields": {kind: [field(one) for one in table.values()] for kind, table in row.fields.items()},
    }


def field(row: CustomField) -> Json:
    enums = [{"id": id_, "value": value, "code": code} for id_, (value, code) in row.enums.items()]
    return {"id": row.id, "name": row.name, "type": row.type, "code": row.code, "enums": enums}


def chat(owner: Account, row: Chat) -> Json:
    return {
        "chat_id": row.id,
        "contact_id": row.contact_id,
        "lead_id": row.lead_id,
        "talk_id": row.talk_id,
        "is_open": owner.talks[row.talk_id].is_open,
        "name": row.name,
        "origin": row.origin,
        "message_count": len(row.messages),
    }


def message(owner: Account, row: Message) -> Json:
    return {
        "seq": row.seq,
        "id": row.id,
        "talk_id": row.talk_id,
        "author": row.author_type,
        "author_name": row.author_name,
        "user_id": row.user_id,
        "text": row.text,
        "at": row.at,
        "created_at": row.created_at,
        "delivery_status": delivery_status(owner, row),
        "attachment": row.attachment,
    }


def traffic(row: Traffic) -> Json:
    return {"requests": row.requests, "peak_per_second": row.peak_per_second, "limited": row.limited}
