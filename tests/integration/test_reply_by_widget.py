"""Replies as the answer to a bot of the account that waits for them."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from gptagent.features.crm.connecting.model import Credentials, NewIntegration
from gptagent.features.crm.connecting.service import add_integration, change_integration
from reply_routes import (
    SECRET,
    asked,
    change,
    door_open,
    pass_on,
    run_requests,
    setup,
    use_bot,
    use_widget,
)
from scenes import PACE, Scene
from worlds import NOT_FOUND, UNANSWERED

REPLIED = [("not_found", "no_relevant_knowledge")]


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


@pytest.fixture
async def origin(world):
    async with door_open(world) as origin:
        yield origin


async def writes(scene, text="Hello"):
    """The customer writes in the CRM, whose bot asks; the webhook is played by hand."""
    path = f"/chats/{scene.chat['chat_id']}/customer"
    (message_id,) = (await scene.world.account.call("POST", path, {"text": text}))["message_ids"]
    return message_id


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("alg", ["HS256", "HS512"])
async def test_a_waiting_bot_gets_the_reply_and_prints_it(scene, origin, *, form, alg):
    """CRM-22: form and JSON, both signatures."""
    await use_widget(scene, origin, form=form, alg=alg)
    message_id = await writes(scene)
    assert await asked(scene) == [200]
    await scene.says("Hello", provider_id=message_id)
    await scene.calm()
    (turn,) = await scene.turns()
    assert await scene.sent() == [NOT_FOUND]
    assert await scene.outcomes() == REPLIED
    assert turn["send_route"] == "widget"
    assert turn["provider_message_id"] in await scene.world.account.sent(scene.chat["chat_id"])


@pytest.mark.parametrize(
    "fault",
    [
        UNANSWERED,
        {"action": "status", "status": 429, "retry_after": 1},
        {"action": "status", "status": 503},
    ],
)
async def test_whatever_happens_at_the_answer_one_message_arrives(scene, origin, fault):
    await use_widget(scene, origin)
    message_id = await writes(scene)
    await asked(scene)
    await scene.says("Hello", provider_id=message_id)
    body = {"method": "POST", "path": "continue", "count": 1, **fault}
    await scene.world.account.call("POST", "/faults", body)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert await scene.outcomes() == REPLIED


async def test_an_answer_that_never_arrived_used_up_its_slot_and_a_person_is_asked(scene, origin):
    """A second answer to the same place could be a second message."""
    await use_widget(scene, origin)
    message_id = await writes(scene)
    await asked(scene)
    await scene.says("Hello", provider_id=message_id)
    await scene.world.account.call(
        "POST", "/faults", {"method": "POST", "path": "continue", "count": 1, "action": "reset"}
    )
    await scene.calm()
    assert await scene.sent() == []
    assert await scene.outcomes() == [("handed_off", "crm_no_reply_slot")]
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1


async def test_a_slot_that_is_gone_is_read_back_and_the_reply_goes_another_way(scene, origin, world):
    """404: somebody stopped the bot. Nothing was said, so the field and the other bot say it."""
    await use_widget(scene, origin, mode="automatic")
    await use_bot(scene)
    await world.account.call("POST", "/knobs", {"plan_has_sending": False})
    await change(scene, mode="widget")
    message_id = await writes(scene)
    await asked(scene)
    body = {"method": "POST", "path": "continue", "count": 1, "action": "status", "status": 404}
    await world.account.call("POST", "/faults", body)
    await scene.says("Hello", provider_id=message_id)
    await scene.advance()
    await change(scene, mode="salesbot")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert await run_requests(scene) == 1


async def test_without_a_waiting_bot_a_person_is_asked(scene, origin):
    await use_widget(scene, origin)
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "crm_no_reply_slot")]


async def test_a_slot_is_used_once_and_a_newer_one_outdates_it(scene, origin, world):
    await use_widget(scene, origin)
    await writes(scene, "Hello")
    await asked(scene)
    message_id = await writes(scene, "Are you there?")
    await asked(scene, 2)
    await scene.says("Are you there?", provider_id=message_id)
    await scene.calm()
    async with world.db.session(world.scope) as session:
        states = await session.fetch("select state from app.crm_reply_slot order by received_at")
    assert sorted(row["state"] for row in states) == ["gone", "gone"]
    assert await scene.sent() == [NOT_FOUND]


async def test_a_refused_plan_moves_the_same_turn_to_the_waiting_bot(scene, origin, world):
    await use_widget(scene, origin, mode="automatic")
    await world.account.call("POST", "/knobs", {"plan_has_sending": False})
    message_id = await writes(scene)
    await asked(scene)
    await scene.says("Hello", provider_id=message_id)
    await scene.calm()
    (turn,) = await scene.turns()
    assert await scene.sent() == [NOT_FOUND]
    assert (turn["send_route"], turn["send_attempts"]) == ("widget", 2)
    assert (await setup(scene)).refused_reason == "crm_payment_required"


async def test_words_the_webhook_never_brought_are_answered_once_even_if_it_comes_late(scene, origin):
    """The message is stored under no id of its own, and takes the real one when that comes."""
    await use_widget(scene, origin)
    message_id = await writes(scene, "Is it in stock?")
    await asked(scene)
    await pass_on(scene)
    await scene.calm()
    await scene.says("Is it in stock?", provider_id=message_id)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert len(await scene.turns()) == 1


async def test_words_the_webhook_has_brought_are_no_second_message(scene, origin):
    await use_widget(scene, origin)
    message_id = await writes(scene)
    await asked(scene)
    await scene.says("Hello", provider_id=message_id)
    await pass_on(scene)
    await scene.calm()
    assert (await scene.conversation())["last_seq"] == 2  # theirs and ours


async def _post(origin, world, **changes):
    """Post a request as the emulator does, with something wrong about it."""
    token, url = changes.pop("token"), changes.pop("return_url")
    body = {"token": token, "data": {"message": "Hi", "lead": "7"}, "return_url": url}
    path = changes.pop("path", world.hook.connection_id)
    async with httpx2.AsyncClient(timeout=30) as client:
        return (await client.post(f"{origin}/hooks/kommo/{path}/widget", json=body)).status_code


def _token(world, origin, *, key=SECRET, alg="HS256", **claims):
    import hashlib
    import hmac
    import time

    said = {
        "iss": f"https://{world.account.subdomain}.kommo.test",
        "aud": origin,
        "exp": int(time.time()) + 3600,
        "account_id": world.hook.account_id,
        "entity_type": 2,
        "entity_id": 7,
        "client_uid": "x",
    } | claims
    said = {name: value for name, value in said.items() if value is not None}

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    signed = f"{part(json.dumps({'alg': alg}).encode())}.{part(json.dumps(said).encode())}"
    method = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}.get(alg, hashlib.sha256)
    return f"{signed}.{part(hmac.new(key.encode(), signed.encode(), method).digest())}"


async def test_only_our_accounts_own_tokens_and_addresses_are_believed(scene, origin, world):
    """CRM-12: every claim is looked at; a refusal tells nothing."""
    host = f"{world.account.subdomain}.kommo.test"
    good = {"token": _token(world, origin), "return_url": f"https://{host}/api/v4/salesbot/1/continue/2"}
    assert await _post(origin, world, **good) == 404, "no secret is set: not configured is refused"
    await change(scene, widget_secret=SECRET)
    assert await _post(origin, world, **good) == 200
    wrong = {
        "key": _token(world, origin, key="another secret of the same length"),
        "alg": _token(world, origin, alg="none"),
        "exp": _token(world, origin, exp=1),
        "nbf": _token(world, origin, nbf=4_000_000_000),
        "iss": _token(world, origin, iss="https://other.kommo.test"),
        "aud": _token(world, origin, aud="https://elsewhere.example"),
        "account": _token(world, origin, account_id=1),
        "shape": "a.b",
        "unsigned": _token(world, origin).rpartition(".")[0] + ".",
    }
    for what, token in wrong.items():
        assert await _post(origin, world, **good | {"token": token}) == 404, what
    for url in (
        f"http://{host}/api/v4/salesbot/1/continue/2",
        "https://other.kommo.test/api/v4/salesbot/1/continue/2",
        f"https://{host}.evil.example/api/v4/salesbot/1/continue/2",
        f"https://evil.example/@{host}/api/v4/salesbot/1/continue/2",
        f"https://user@{host}/api/v4/salesbot/1/continue/2",
        f"https://{host}:8443/api/v4/salesbot/1/continue/2",
        f"https://{host}/api/v4/leads/1",
        f"https://{host}/api/v4/salesbot/1/continue/2/../../../leads",
        f"https://{host}/api/v4/salesbot/1/continue/2?x=1",
        f"https://{host}/api/v4/salesbot/1/continue/2#",
        "https://[",
    ):
        assert await _post(origin, world, **good | {"return_url": url}) == 400, url
    assert await _post(origin, world, **good, path="nobodys") == 404
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.crm_reply_slot") == 1


async def by_consent(world, client_id):
    async with world.db.session(world.scope) as session:
        await session.execute(
            "update app.crm_connection set access_kind = 'oauth', client_id = $1", client_id
        )


async def test_an_account_connected_by_consent_is_believed_by_its_integrations_key(scene, origin, world):
    """CRM-12: nothing is entered for the widget; another integration's token is refused, a key may change."""
    await change(scene, widget_secret=SECRET)
    await by_consent(world, "ours")
    address = f"https://{world.account.subdomain}.kommo.test/api/v4/salesbot/1/continue"
    places = iter(range(100))

    async def answer(**token):
        return await _post(
            origin, world, token=_token(world, origin, **token), return_url=f"{address}/{next(places)}"
        )

    assert await answer(client_uid="ours") == 404, (
        "its keys are not here, and those that were entered do not count"
    )
    first, second = "the-key-of-our-integration-1", "the-key-of-our-integration-2"
    async with world.db.session(world.scope) as session:
        made = await add_integration(session, NewIntegration("kommo", "ours", first), world.vault)
    assert await answer(key=first, client_uid="ours") == 200
    assert await answer(key=first, client_uid=None, client_uuid="ours") == 200
    assert await answer(key=first, client_uid=None, client_uuid="another") == 404
    assert await answer(key=first, client_uid=None) == 404
    assert await answer(key=SECRET, client_uid="ours") == 404
    async with world.db.session(world.scope) as session:
        await change_integration(session, made.id, second, world.vault)
    assert await answer(key=first, client_uid="ours") == 404
    assert await answer(key=second, client_uid="ours") == 200


async def test_the_installations_own_integration_is_believed_too(scene, world):
    await by_consent(world, "shared")
    shared = {"kommo": Credentials("kommo", "shared", SECRET)}
    async with door_open(world, shared) as origin:
        address = f"https://{world.account.subdomain}.kommo.test/api/v4/salesbot/1/continue/2"
        token = _token(world, origin, client_uid="shared")
        assert await _post(origin, world, token=token, return_url=address) == 200


@pytest.mark.parametrize(("iat", "calls"), [(True, 1), (False, 2)])
async def test_the_time_of_the_bots_token_saves_asking_amocrm_for_one(scene, origin, world, *, iat, calls):
    """The log has no words: the reply is what a robot sent since then."""
    host = f"{world.account.subdomain}.amocrm.test"
    await use_widget(scene, origin, host=host)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set host = $1", host)
    message_id = await writes(scene)
    assert await asked(scene) == [200]
    async with world.db.session(world.scope) as session:
        if not iat:
            await session.execute("update app.crm_reply_slot set asked_at = null")
        asked_at = await session.fetchval("select asked_at from app.crm_reply_slot")
    await scene.says("Hello", provider_id=message_id)
    scene.runner = replace(scene.runner, pace=replace(PACE, first_look_after=timedelta(minutes=1)))
    before = (await world.account.call("GET", "/stats"))["requests"]
    await scene.advance()
    (turn,) = await scene.turns()
    assert turn["send_accepted_at"] is not None
    read_of_the_deal = 1
    assert (await world.account.call("GET", "/stats"))["requests"] - before == calls + read_of_the_deal
    if iat:
        assert asked_at - timedelta(seconds=1) <= turn["send_since"] <= turn["send_started_at"]
