"""A connection breaks: its queue is held in order and goes on after mending, and who can mend it is told."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer
from gptagent.features.audit import service as audit
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.connecting.jobs import ConnectingJobs
from gptagent.features.crm.connecting.service import Connecting, connect_account
from gptagent.features.crm.events import AccountConnected
from gptagent.features.dialog import service as dialog
from gptagent.features.identity.model import Links
from gptagent.features.mail.jobs import MailJobs
from gptagent.kernel.errors import UpstreamUnavailable
from gptagent.kernel.events import Subscribers
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from mailboxes import FROM, mailbox_here
from members import add_member
from scenes import PACE, Scene
from worlds import NOT_FOUND

HOUR = timedelta(hours=1)
BASE = "https://agents.example.test"


@pytest.fixture
async def scenes(world):
    """Two chats of one account, whose turns wait for an hour while it is broken."""
    opened = [await Scene.open(world) for _ in range(2)]
    for scene in opened:
        scene.runner = replace(scene.runner, pace=replace(PACE, broken_connection_retry=HOUR))
    return opened


def context(world, attempt=1):
    return JobContext(world.db, None, world.scope, 1, attempt)


async def jobs(world, name):
    """Return the payloads of this workspace's waiting jobs that are due, as a worker would take them."""
    async with world.db.session(world.scope) as session:
        rows = await session.fetch(
            """select payload from jobs.pgqueuer
                where entrypoint = $1 and headers->>'org' = $2 and execute_after <= now()
                order by execute_after, id""",
            name,
            str(world.scope.org_id),
        )
        await session.execute(
            "delete from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2",
            name,
            str(world.scope.org_id),
        )
    return [json.loads(row["payload"]) for row in rows]


async def connect_again(world, crm):
    token = (await world.account.call("POST", "/tokens", {}))["token"]
    hears = Subscribers(outbox={AccountConnected: (dialog.RESUME,)})
    door = Connecting(world.db, crm, world.vault, "http://127.0.0.1:9", hears)
    command = crm_service.ConnectCrm(f"{world.account.subdomain}.kommo.test", token)
    return await connect_account(door, world.scope, command)


async def hold_two(world, scenes):
    """Let both customers write, then the token is revoked and both turns find that out."""
    for scene in scenes:
        await scene.says("Hello")
    await world.account.call("DELETE", "/tokens")
    for scene in scenes:
        await scene.advance()
    await jobs(world, dialog.ADVANCE)


async def test_two_waiting_chats_are_answered_in_order_and_once_as_soon_as_the_owner_connects_again(
    world, scenes
):
    """CRM-5"""
    await hold_two(world, scenes)
    lanes = [await scene.lane() for scene in scenes]
    assert all(lane["due_at"] - lane["burst_started_at"] > HOUR / 2 for lane in lanes)
    assert [await scene.sent() for scene in scenes] == [[], []]
    again = await connect_again(world, scenes[0].crm)
    assert again.status == "connected"
    (payload,) = await jobs(world, dialog.RESUME)
    assert payload == {"connection_id": str(again.id)}
    for _ in range(2):  # a job may run twice
        await dialog.resume_lanes(context(world), **payload)
    woken = await jobs(world, dialog.ADVANCE)
    order = [str(scene.conversation_id) for scene in scenes]
    assert list(dict.fromkeys(one["conversation_id"] for one in woken)) == order
    for number, one in enumerate(woken):
        scene = next(s for s in scenes if str(s.conversation_id) == one["conversation_id"])
        await scene.advance(job_id=100 + number)
    assert [await scene.sent() for scene in scenes] == [[NOT_FOUND], [NOT_FOUND]]
    ledger = (await world.account.call("GET", "/ledger"))["entries"]
    sent = [entry["talk_id"] for entry in ledger if entry["kind"] == "send"]
    assert sent == [scene.chat["talk_id"] for scene in scenes]
    for scene in scenes:
        await scene.calm()
        assert [outcome for outcome, _reason in await scene.outcomes()] == ["not_found"]


async def test_a_chat_that_a_worker_holds_is_looked_at_again(world, scenes):
    """That worker may have read just before that the connection is broken, and puts the chat off."""
    await hold_two(world, scenes)
    first, second = scenes
    async with world.db.session(world.scope) as session:
        await session.execute(
            """update app.lane set lease_until = clock_timestamp() + interval '1 minute'
                where conversation_id = $1""",
            first.conversation_id,
        )
    payload = {"connection_id": str(world.hook.connection_id)}
    with pytest.raises(UpstreamUnavailable):
        await dialog.resume_lanes(context(world), **payload)
    assert await jobs(world, dialog.ADVANCE) == [{"conversation_id": str(second.conversation_id)}]
    await dialog.resume_lanes(context(world, attempt=dialog.RESUME_TRIES), **payload)


async def test_a_burst_that_is_being_gathered_is_not_cut_short(world, scenes):
    (scene, _other) = scenes
    await scene.set_agent(response_delay_seconds=30)
    await scene.says("Hello")
    before = (await scene.lane())["due_at"]
    await dialog.resume_lanes(context(world), connection_id=str(world.hook.connection_id))
    assert (await scene.lane())["due_at"] == before


async def test_everybody_who_can_mend_it_gets_one_letter_for_each_time_it_breaks(world):
    """CRM-5"""
    async with mailbox_here() as mailbox:
        people = {role: f"{role}.{new_id().hex[-12:]}@example.test" for role in ("admin", "member", "viewer")}
        for role, email in people.items():
            await add_member(world.db, world.scope, role, email=email)
        mailer = MailJobs(SmtpMailer(SmtpServer.parse(mailbox.smtp), FROM, step_seconds=60))
        told = ConnectingJobs(None, Links(BASE, sends_letters=True))
        for times in (1, 2):
            await break_it(world)
            payload = {"connection_id": str(world.hook.connection_id)}
            assert await jobs(world, "crm.tell_broken") == [payload]
            for _ in range(2):
                await told.tell_broken(context(world), **payload)
            for one in await jobs(world, "mail.send"):
                await mailer.send(context(world), **one)
            letters = await mailbox.letters()
            receivers = {name for letter in letters for name in letter["recipients"]}
            assert people["admin"] in receivers and not receivers & {people["member"], people["viewer"]}
            assert len(letters) == 2 * times
            await connect_again(world, world.crm())
        (letter, _later) = await mailbox.letters(people["admin"])
        assert "no longer accepts the token" in letter["text"]
        assert f"/integrations/{world.hook.connection_id}" in letter["text"]


async def break_it(world):
    """Let two jobs find out at the same time that the token is refused."""
    async with world.db.session(world.scope) as session:
        link = await crm_service.open_link(session, world.hook.connection_id, world.vault)
    for _ in range(2):
        async with world.db.session(world.scope) as session:
            await crm_service.mark_broken(session, link, world.vault, "crm_unauthorized")


async def test_without_a_mail_server_nobody_is_written_to_and_the_record_tells_it(world):
    await break_it(world)
    job = ConnectingJobs(None, Links(BASE, sends_letters=False))
    await job.tell_broken(context(world), connection_id=str(world.hook.connection_id))
    assert await jobs(world, "mail.send") == []
    async with world.db.session(world.scope) as session:
        (broken,) = await crm_service.list_broken(session)
        assert broken.reason.startswith("The CRM no longer accepts the token.")
        entry = (await audit.list_entries(session))[0]
    assert (entry.action, dict(entry.changes)) == (
        "connection.broken",
        {"reason": (None, "crm_unauthorized")},
    )


async def test_a_letter_that_comes_too_late_is_not_written(world):
    await break_it(world)
    await connect_again(world, world.crm())
    told = ConnectingJobs(None, Links(BASE, sends_letters=True))
    await told.tell_broken(context(world), connection_id=str(world.hook.connection_id))
    assert await jobs(world, "mail.send") == []
