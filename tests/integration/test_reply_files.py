"""Files of an article follow the reply that was drawn from it, each once, whatever fails on their way."""

import asyncio
from io import BytesIO

import pytest
from starlette.datastructures import UploadFile

from gptagent.features.conversations import service as conversations
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog.enclosures import service as enclosures
from gptagent.features.dialog.enclosures import store
from gptagent.features.dialog.enclosures.jobs import EnclosureJobs
from gptagent.features.knowledge.attachments import service as attachments
from gptagent.features.knowledge.attachments.upload import store_file
from gptagent.kernel.clock import utcnow
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.jobs import JobContext
from reply_routes import use_bot
from scenes import CALM_SECONDS, PACE, Scene, Wrapped

PDF = b"%PDF-1.7 prices"
ANSWER = "A kitchen costs 90,000 rubles."


@pytest.fixture
async def scene(world, tmp_path):
    scene = await Scene.open(world)
    scene.files = LocalFiles(tmp_path)
    scene.article = await scene.write_article("Kitchens", ANSWER)
    return scene


async def attach(scene, *names):
    for name in names:
        upload = UploadFile(BytesIO(PDF + name.encode()), filename=name)
        world = scene.world
        await store_file(world.db, scene.files, world.scope, scene.article.id, upload, now=utcnow())


async def send_files(scene, **patches):
    """Run the job as a worker would: again as long as it asks for it."""
    world = scene.world
    jobs = EnclosureJobs(Wrapped(scene.crm, **patches), world.vault, PACE)
    deadline = asyncio.get_running_loop().time() + CALM_SECONDS
    while True:
        for turn in await scene.turns():
            await jobs.send(JobContext(world.db, scene.files, world.scope, 1, 1), turn_id=str(turn["id"]))
        if all(file.state not in {"waiting", "sending"} for file in await noted(scene)):
            return
        assert asyncio.get_running_loop().time() < deadline, await noted(scene)
        await asyncio.sleep(0.05)


async def noted(scene):
    turns = [turn["id"] for turn in await scene.turns()]
    async with scene.world.db.session(scene.world.scope) as session:
        return await enclosures.list_files(session, turns)


async def states(scene):
    return [(file.name, file.state, file.reason) for file in await noted(scene)]


async def chat(scene):
    """What the customer has from us: texts, and names of files."""
    answer = await scene.world.account.call("GET", f"/chats/{scene.chat['chat_id']}/messages")
    ours = [message for message in answer["messages"] if message["author"] == "bot"]
    return [(m["attachment"] or {}).get("file_name") or m["text"] for m in ours]


async def replied(scene):
    """Let the customer ask and the agent answer from the article."""
    await scene.says("What does a kitchen cost?")
    await scene.calm()


async def test_the_files_of_the_quoted_article_follow_the_reply_in_their_order_and_only_once(scene):
    """U131, MSG-20"""
    await attach(scene, "prices.pdf", "plan.pdf")
    other = await scene.write_article("Delivery", "Delivery takes two days.")
    await replied(scene)
    await send_files(scene)
    reply, *files = await chat(scene)
    assert ANSWER in reply
    assert files == ["prices.pdf", "plan.pdf"]
    assert await states(scene) == [("prices.pdf", "sent", None), ("plan.pdf", "sent", None)]
    await replied(scene)  # the chat has them already
    await scene.says("How long does delivery take?")  # from an article without files
    await scene.calm()
    await send_files(scene)
    assert [one for one in await chat(scene) if one.endswith(".pdf")] == ["prices.pdf", "plan.pdf"]
    assert other.id != scene.article.id


async def test_after_a_month_the_customer_gets_a_file_again(scene):
    await attach(scene, "prices.pdf")
    await replied(scene)
    await send_files(scene)
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.reply_file set settled_at = settled_at - interval '31 days'")
    await replied(scene)
    await send_files(scene)
    assert (await chat(scene)).count("prices.pdf") == 2


async def test_a_question_without_an_answer_brings_no_files(scene):
    await attach(scene, "prices.pdf")
    await scene.says("Do you repair bicycles?")
    await scene.calm()
    assert await noted(scene) == []


@pytest.mark.parametrize(
    ("action", "sends"), [("accept_then_timeout", 1), ("reset", 2)], ids=["arrived", "never arrived"]
)
async def test_a_send_without_an_answer_is_read_back_and_repeated_only_if_it_never_arrived(
    scene, action, sends
):
    await attach(scene, "prices.pdf")
    await replied(scene)
    await scene.break_send(action=action)
    await send_files(scene)
    (file,) = await noted(scene)
    assert (file.state, file.sends) == ("sent", sends)
    said = await chat(scene)
    assert said.count("prices.pdf") == 1 and len(said) == 2  # and the reply was not said again


async def test_a_worker_that_dies_after_the_request_left_sends_nothing_twice(scene):
    await attach(scene, "prices.pdf")
    await replied(scene)
    real = scene.crm

    async def dies(*args, **named):
        await real.send_message(*args, **named)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await send_files(scene, send_message=dies)
    assert [file.state for file in await noted(scene)] == ["sending"]
    await send_files(scene)
    (file,) = await noted(scene)
    assert (file.state, file.sends) == ("sent", 1)
    assert (await chat(scene)).count("prices.pdf") == 1


async def test_two_workers_with_one_job_send_a_file_once(scene):
    await attach(scene, "prices.pdf")
    await replied(scene)
    meet = asyncio.Barrier(2)

    async def reserve(link):
        await meet.wait()  # both have found it waiting, and now go through the fence

    await asyncio.gather(send_files(scene, reserve_send=reserve), send_files(scene, reserve_send=reserve))
    assert (await chat(scene)).count("prices.pdf") == 1


async def test_a_run_that_was_overtaken_opens_and_ends_nothing(scene):
    await attach(scene, "prices.pdf")
    await replied(scene)
    (turn,) = await scene.turns()
    db, scope = scene.world.db, scene.world.scope
    async with db.session(scope) as session:
        (seen,) = await store.open_files(session, turn["id"])
        assert await store.start_sending(session, seen, 1)
        await store.reopen(session, seen)
        assert not await store.settle(session, seen, "not_sent", reason="crm_refused")
    assert await states(scene) == [("prices.pdf", "sending", None)]


async def test_a_takeover_before_the_fence_keeps_the_files_back(scene):
    await attach(scene, "prices.pdf", "plan.pdf")
    await replied(scene)
    world = scene.world

    async def taken(link):
        async with world.db.session(world.scope) as session:
            await world.inbox.take_over(session, scene.conversation_id, by="Bob", now=utcnow())

    await send_files(scene, reserve_send=taken)
    assert [state for _, *state in await states(scene)] == [["not_sent", "taken_over"]] * 2
    assert len(await chat(scene)) == 1


async def test_the_crms_report_of_a_file_is_ours_and_no_takeover_whether_or_not_its_id_is_known(scene):
    await attach(scene, "prices.pdf")
    await replied(scene)
    real = scene.crm

    async def reported_first(*args, **named):
        await says_file(scene, "m-1")
        await real.send_message(*args, **named)
        return "m-1"

    await send_files(scene, send_message=reported_first)
    await says_file(scene, "m-1")
    async with scene.world.db.session(scene.world.scope) as session:
        conversation = await conversations.get_conversation(session, scene.conversation_id)
        messages = await conversations.list_messages(session, scene.conversation_id)
    assert conversation.taken_over_at is None
    assert [message.author for message in messages] == ["customer", "agent"]
    await says_file(scene, "m-2", name="manager.pdf")
    assert (await scene.conversation())["taken_over_at"] is not None


async def says_file(scene, provider_id, name="prices.pdf"):
    await scene.says("", author="human", provider_id=provider_id, attachment="file", file_name=name)


async def test_a_crm_that_refuses_a_file_for_good_makes_a_task_and_the_next_file_is_sent(scene):
    await attach(scene, "prices.pdf", "plan.pdf")
    await replied(scene)
    await scene.break_send(action="status", status=400)
    await send_files(scene)
    assert [state for _, state, _ in await states(scene)] == ["not_sent", "sent"]
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "prices.pdf" in str(task)
    await says_file(scene, "m-9")  # the manager does what the task asks
    assert (await scene.conversation())["taken_over_at"] is not None


async def test_a_busy_crm_gets_the_file_later(scene):
    await attach(scene, "prices.pdf")
    await replied(scene)
    await scene.break_send(action="status", status=503)
    await send_files(scene)
    assert (await chat(scene)).count("prices.pdf") == 1


async def test_a_file_that_was_removed_meanwhile_is_not_sent(scene):
    await attach(scene, "prices.pdf")
    await replied(scene)
    async with scene.world.db.session(scene.world.scope) as session:
        (file,) = await attachments.list_files(session, scene.article.id)
        await attachments.delete_file(session, scene.article.id, file.id)
    await send_files(scene)
    assert await states(scene) == [("prices.pdf", "not_sent", "file_removed")]


async def test_a_way_that_carries_text_only_says_so_and_sends_no_file(scene):
    await attach(scene, "prices.pdf")
    world = scene.world
    async with world.db.session(world.scope) as session:
        assert await replying.carries_files(session, world.hook.connection_id)
        assert await attachments.without_files(session) == []
    await use_bot(scene, mode="salesbot")
    async with world.db.session(world.scope) as session:
        assert not await replying.carries_files(session, world.hook.connection_id)
        assert await attachments.without_files(session)
    await replied(scene)
    await send_files(scene)
    assert await states(scene) == [("prices.pdf", "not_sent", "text_only_route")]
