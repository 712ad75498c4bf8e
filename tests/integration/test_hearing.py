"""Voice messages, pictures and documents of customers: heard before they are answered, or honestly not."""

import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from gptagent.adapters.speech.port import OpenAiSpeech, Patience
from gptagent.bootstrap import build_eye
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.memory.jobs import by_patterns
from gptagent.features.dialog.acting import service as acting
from gptagent.features.dialog.acting.jobs import ActingJobs
from gptagent.features.dialog.hearing.service import ASK_AGAIN, ASK_AGAIN_VOICE
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.trying import service as trying
from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.model import Budgets, Limits
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.inference.model import ModelReply
from gptagent.features.privacy import service as privacy
from gptagent.kernel.clock import utcnow
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import UpstreamUnavailable
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.i18n import translate
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.settings import Settings
from listening import Listening, recording
from photos import DEVICE, photo
from readers import texts
from scenes import Scene, Wrapped
from worlds import NOT_FOUND

QUESTION = "My name is Ann. What does delivery to Moscow cost?"
ARTICLE = ("Delivery", "Delivery to Moscow costs 490 roubles. It takes two days.")


@pytest.fixture
async def speech(llm, control):
    parts = urlsplit(llm)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    yield OpenAiSpeech(egress, f"{llm}/v1", "sandbox-speech", "key", Patience(first_pause=0.01))
    await egress.aclose()


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.write_article(*ARTICLE)
    pace = replace(scene.runner.pace, files_retry=timedelta(seconds=0.02))
    scene.runner = replace(scene.runner, pace=pace)
    return scene


@pytest.fixture
def files(tmp_path):
    return LocalFiles(tmp_path)


def calls(control, kind):
    return [call for call in control.get("/calls").json()["calls"] if call["kind"] == kind]


def does_not_wait(scene):
    scene.runner = replace(scene.runner, pace=replace(scene.runner.pace, files_wait=timedelta(0)))


async def messages_of(scene):
    world = scene.world
    async with world.db.session(world.scope) as session:
        return await conversations.list_messages(session, scene.conversation_id)


async def test_a_voice_message_is_written_down_before_it_is_answered_and_is_what_the_customer_said(
    scene, world, files, speech, control
):
    """MSG-21, MSG-2: however often it is delivered and the job runs, it is heard once."""
    listening = Listening(scene, files, speech=speech)
    await listening.sends("voice", recording(QUESTION))
    await scene.advance()
    assert (await scene.turns(), await scene.sent()) == ([], []), "it waits, and leaves no trace"
    await listening.fetch()
    await scene.advance()
    assert await scene.sent() == []
    await listening.hear()
    await scene.calm()
    (sent,) = await scene.sent()
    assert "490 roubles" in sent
    assert len(calls(control, "transcription")) == 1
    (file,) = await listening.shown()
    (turn,) = await scene.turns()
    assert (file.hearing, file.heard_as, file.heard_by, file.words) == (
        "heard",
        "voice",
        "sandbox-speech",
        QUESTION,
    )
    first = (await messages_of(scene))[0]
    assert (first.text, first.heard, first.said, first.seen) == ("", QUESTION, QUESTION, "")
    assert any("Ann" in found.text for found in by_patterns([first])), "what is remembered"
    async with world.db.session(world.scope) as session:
        used = await session.fetchrow("select purpose, tokens_in, turn_id from app.llm_usage")
        assert await session.fetchval("select count(*) from app.asked_question") == 1
        await privacy.erase_customer(session, scene.conversation_id)
        assert await session.fetchval("select count(*) from app.attachment") == 0
    assert (used["purpose"], used["tokens_in"] > 0, used["turn_id"]) == ("hearing", True, turn["id"])


async def test_what_a_customer_says_aloud_is_acted_upon_like_what_they_write(  # noqa: PLR0917 - its desk
    scene, world, files, speech, control, model
):
    """MSG-21, MSG-14"""
    await scene.set_agent(actions={"create_task": "approve"})
    wish = {"name": "tell_intent", "arguments": {"intent": "request_callback", "confidence": 1}}
    rules = [{"system": "You look after the CRM", "tools": [wish]}]
    control.post("/script?replace=1", json=rules).raise_for_status()
    listening = Listening(scene, files, speech=speech)
    await listening.sends("voice", recording(f"Call me. {QUESTION}"))
    await listening.fetch()
    await listening.hear()
    await scene.calm()
    (turn,) = await scene.turns()
    await ActingJobs(model).act(JobContext(world.db, None, world.scope, 1, 1), turn_id=str(turn["id"]))
    talk = calls(control, "chat")[-1]["prompt"][1]["content"]
    assert f"Call me. {QUESTION}" in talk
    async with world.db.session(world.scope) as session:
        (waiting,) = await acting.list_latest(session, scene.conversation_id)
        assert (waiting.action, f"Call me. {QUESTION}" in waiting.shown) == ("create_task", True)
        me = world.scope.actor.id
        played = await trying.replay_turn(session, me, scene.conversation_id, turn["id"], {})
        again = await trying.rehearsal_of(session, played)
    assert again.message == f"Call me. {QUESTION}", "played again, it was said as well"


async def test_a_picture_is_described_and_a_document_read_and_a_model_is_told_which_words_are_a_machines(
    scene, files, speech, control, model
):
    """MSG-25: what is on a picture, or in a document, is no word of the customer."""
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    script = [
        {"system": "Describe it for a colleague", "match": "red lamp", "reply": "A red lamp, № 7.\u200b"},
        {"system": "employee", "reply": "Delivery to Moscow costs 490 roubles [1], also of lamp № 7."},
    ]
    control.post("/script", json=script).raise_for_status()
    listening = Listening(scene, files, speech=speech, vision=model)
    await listening.sends("picture", recording("red lamp", "picture"))
    await listening.sends("file", recording("Order 4711, paid on Monday.", "file"))
    await scene.says("What does delivery to Moscow cost?")
    await listening.fetch()
    await scene.advance()
    assert await scene.sent() == []
    await listening.hear()
    await scene.calm()
    assert await scene.sent() == ["Delivery to Moscow costs 490 roubles, also of lamp № 7."], (
        "no invented fact"
    )
    told = calls(control, "chat")[-1]["prompt"]
    question = told[-1]["content"]
    assert "[Picture, read by a machine:] A red lamp, № 7.\n[File, read by a machine:] Order 4711" in question
    assert question.endswith("What does delivery to Moscow cost?")
    assert "Never guess" in json.dumps(told[0])
    assert by_patterns(await messages_of(scene)) == []
    async with scene.world.db.session(scene.world.scope) as session:
        rows = await session.fetch("select heard_as, heard_by from app.attachment order by seq")
    assert [tuple(row) for row in rows] == [("picture", "sandbox"), ("document", None)]


async def test_where_the_first_eye_fails_the_other_one_reads_the_picture_and_the_turn_answers_from_it(
    *, scene, files, llm, control, model, home
):
    """MSG-25: VISION_FALLBACK_MODEL, as the platform is set up by it"""
    world, parts = scene.world, urlsplit(llm)
    settings = Settings(
        gptagent_home=home,
        vision_base_url=f"{llm}/v1",
        vision_model="eye-of-old",
        vision_fallback_model="eye-of-new",
        egress_allow=f"{parts.hostname}:{parts.port}",
    )
    eye = build_eye(settings, world.db)
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    fault = {"model": "eye-of-old", "status": 503, "count": 9}
    control.post("/faults", json=fault).raise_for_status()
    script = [
        {"model": "eye-of-new", "match": "red lamp", "reply": "A red lamp, № 7."},
        {"system": "employee", "reply": "Delivery to Moscow costs 490 roubles [1], also of lamp № 7."},
    ]
    control.post("/script", json=script).raise_for_status()
    listening = Listening(
        scene, files, vision=GuardedModel(world.db, eye, names=("eye-of-old", "eye-of-new"))
    )
    await listening.sends("picture", recording("red lamp", "picture"))
    await scene.says("What does delivery to Moscow cost?")
    await listening.fetch()
    await listening.hear()
    await eye.aclose()
    await scene.calm()
    assert await scene.sent() == ["Delivery to Moscow costs 490 roubles, also of lamp № 7."]
    question = calls(control, "chat")[-1]["prompt"][-1]["content"]
    assert "[Picture, read by a machine:] A red lamp, № 7." in question
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select heard_by from app.attachment") == "eye-of-new"
    asked = [one["model"] for one in calls(control, "chat")]
    assert asked[0] == "eye-of-old" and asked.count("eye-of-new") == 1


class Eye:
    """A model that keeps what it was shown."""

    def __init__(self):
        self.shown = []

    async def complete(self, request):
        (picture,) = request.turns[0].pictures
        self.shown.append(picture)
        return ModelReply(text="A red field", model="eye", tokens_in=1, tokens_out=1, duration_ms=1, calls=1)


async def test_a_photo_goes_to_the_model_without_its_place_and_device_and_is_kept_as_it_came(scene, files):
    """MSG-25"""
    eye = Eye()
    listening = Listening(scene, files, vision=eye)
    await listening.sends("picture", photo("JPEG", orientation=6))
    await listening.sends("picture", b"\xff\xd8\xff no picture at all")
    await listening.fetch()
    await listening.hear()
    (picture,) = eye.shown
    assert picture.mime == "image/jpeg" and DEVICE not in picture.content
    async with scene.world.db.session(scene.world.scope) as session:
        first, second = await session.fetch("select * from app.attachment order by seq")
    assert (first["hearing"], second["hearing"]) == ("heard", "unheard")
    assert DEVICE in (await files.open_path(first["blob_key"])).read_bytes()


async def test_a_customers_pictures_are_bounded_by_the_budget_of_a_contact(scene, files, control, model):
    """MSG-5"""
    world = scene.world
    async with world.db.session(world.scope) as session:
        limits = Budgets(contact=Limits(day_tokens=1))
        await budgets.set_budgets(session, limits, now=utcnow())
    vision = GuardedModel(world.db, model, names=("sandbox",))
    listening = Listening(scene, files, vision=vision)
    for place in ("red lamp", "blue lamp"):
        await listening.sends("picture", recording(place, "picture"))
    await listening.fetch()
    await listening.hear()
    async with world.db.session(world.scope) as session:
        rows = await session.fetch("select hearing from app.attachment order by hearing")
    assert [row["hearing"] for row in rows] == ["heard", "unheard"]


async def test_without_a_model_the_agent_asks_for_words_once_and_then_a_person_is_asked(scene, files):
    """MSG-21: nothing is said of what nobody has heard."""
    listening = Listening(scene, files)
    for content in ("first", "second"):
        await listening.sends("voice", recording(content))
        await listening.fetch()
        await listening.hear()
        await scene.calm()
    assert await scene.sent() == [ASK_AGAIN_VOICE]
    assert await scene.outcomes() == [("reply", "not_heard"), ("handed_off", "not_heard")]
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "cannot hear or open" in str(task)
    (file,) = await listening.shown()
    assert (file.hearing, file.unheard_reason, file.words) == ("unheard", "not_set", "")
    await scene.says("What does delivery to Moscow cost?")
    await scene.calm()
    assert "490 roubles" in (await scene.sent())[-1]


async def test_it_asks_in_the_customers_language_and_says_of_a_film_that_it_cannot_be_opened(scene, files):
    """AGT-21"""
    await scene.says("Здравствуйте, это Анна")
    await scene.calm()
    listening = Listening(scene, files)
    await listening.sends("video", recording("film", "video"))
    await listening.fetch()
    await listening.hear()
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND, translate("ru", ASK_AGAIN)]
    (file,) = await listening.shown(3)
    assert file.unheard_reason == "not_readable"


async def test_the_answer_waits_within_bounds_and_tells_a_model_that_it_does_not_know(
    scene, files, control, model, speech
):
    """MSG-8, MSG-21: what is known later counts in the next turn."""
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    control.post("/script", json={"reply": "I cannot open it. Please write it in words."}).raise_for_status()
    does_not_wait(scene)
    listening = Listening(scene, files, speech=speech)
    await scene.says("Here is what I want:")
    await listening.sends("voice", recording("Two red lamps"))
    await scene.calm()
    question = calls(control, "chat")[-1]["prompt"][-1]["content"]
    assert question == "Here is what I want:\n[A voice message whose content is not known.]"
    assert "Never guess" in json.dumps(calls(control, "chat")[-1]["prompt"][0])
    control.delete("/script").raise_for_status()
    await listening.fetch()
    await listening.hear()
    await scene.says("Well?")
    await scene.calm()
    told = json.dumps(calls(control, "chat")[-1]["prompt"])
    assert "[Voice message, written down by a machine:] Two red lamps" in told
    assert len(await scene.sent()) == 2


async def test_a_burst_that_has_waited_its_longest_waits_for_no_further_file(scene, world, files, speech):
    """MSG-8: whoever sends one after the other, while none of them can be heard, is answered."""
    await scene.set_agent(response_delay_seconds=0)
    listening = Listening(scene, files, speech=speech)
    await scene.says(QUESTION)
    await listening.sends("voice", recording("Two red lamps"))

    async def began(ago):
        async with world.db.session(world.scope) as session:
            await session.execute(
                """update app.lane set burst_started_at = clock_timestamp() - $1::interval,
                          due_at = clock_timestamp()""",
                ago,
            )
        await scene.advance()
        return len(await scene.sent())

    assert await began(timedelta(seconds=40)) == 0
    await scene.set_agent(response_delay_seconds=30)
    assert await began(timedelta(seconds=70)) == 0
    assert await began(timedelta(seconds=91)) == 1


async def test_a_file_that_cannot_be_had_or_heard_keeps_nobody_waiting(scene, files, speech, control):
    """MSG-8: a file that is refused, a silent one, a model that is away."""
    listening = Listening(scene, files, speech=speech)

    async def away(*_args, **_options):
        raise UpstreamUnavailable("crm_unavailable", "away")

    await listening.sends("voice", recording("What does delivery to Moscow cost?"))
    with pytest.raises(UpstreamUnavailable):
        await listening.fetch(Wrapped(scene.crm, download_attachment=away))
    await listening.fetch()
    control.post("/faults", json={"path": "/v1/audio/transcriptions", "status": 503}).raise_for_status()
    with pytest.raises(UpstreamUnavailable):
        await listening.hear()
    await scene.advance()
    assert await scene.sent() == [], "it may answer yet"
    await listening.give_up()
    await scene.calm()
    assert await scene.sent() == [ASK_AGAIN_VOICE]
    control.delete("/faults").raise_for_status()
    await listening.hear()
    (file,) = await listening.shown()
    assert file.unheard_reason == "failed"
    await listening.sends("voice", b"OggS")
    await listening.fetch()
    await listening.hear()
    (file,) = await listening.shown(3)
    assert file.unheard_reason == "empty"


async def test_nobody_listens_where_no_agent_is_on_nor_to_what_a_colleague_sends(
    scene, files, speech, control
):
    """MSG-3, MSG-4"""
    listening = Listening(scene, files, speech=speech)
    await scene.set_agent(is_active=False)
    await listening.sends("voice", recording(QUESTION))
    await scene.hears(await listening.message("voice", recording("ours"), author="human"))
    await listening.fetch()
    await listening.hear()
    assert [one.hearing for one in (*await listening.shown(1), *await listening.shown(2))] == [
        "unheard",
        "none",
    ]
    assert (await listening.shown())[0].unheard_reason == "not_wanted"
    assert control.get("/calls").json()["calls"] == []


async def test_the_thread_shows_what_a_machine_made_of_a_file_and_that_it_did(
    scene, files, speech, control, alice
):
    """MSG-21, MSG-25: what was said is no markup, and a long document unfolds."""
    listening = Listening(scene, files, speech=speech)
    await listening.sends("voice", recording("What does <b>delivery</b> cost?"))
    await listening.sends("file", recording("Paid & packed. " * 60, "file"))
    await listening.sends("picture", recording("red lamp", "picture"))
    await listening.fetch()
    waiting = await alice.open(f"/conversations/{scene.conversation_id}")
    assert "is being listened to" in texts(waiting)
    await listening.hear()
    page = await alice.open(f"/conversations/{scene.conversation_id}")
    shown = texts(page)
    assert "Written down by a machine · sandbox-speech What does &lt;b&gt;delivery&lt;/b&gt; cost?" in shown
    assert "Read by a machine" in shown
    assert page.text.count("<details><summary>Paid &amp; packed.") == 1
    assert "not understood: no model for it is set up in this installation" in shown
    assert "is being listened to" not in shown
    alice.http.cookies.set("language", "ru")
    russian = await alice.open(f"/conversations/{scene.conversation_id}")
    assert "Расшифровано автоматически" in texts(russian)
