"""Bursts of one to six messages, replayed with a clock that is set: one fitting answer each."""

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from gptagent.adapters.speech.port import OpenAiSpeech
from gptagent.features.dialog.context import Spent
from gptagent.features.dialog.model import Answer
from gptagent.kernel.clock import utcnow
from gptagent.kernel.egress import Egress
from gptagent.kernel.files import LocalFiles
from listening import Listening, recording
from scenes import Scene

DELAY_SECONDS = 30
# Delay and pauses are this many times as long as told: next to them a busy machine needs no time.
STRETCH = 20
WORDS = (
    "Hello",
    "How much is the lamp?",
    "the red one",
    "and two of the small ones",
    "I ordered one last week.",
    "Сколько стоит доставка?",
    "в Казань",
)


@dataclass
class Repeating:
    """A responder that says again what it was asked, and lets something happen while it thinks."""

    meanwhile: list = field(default_factory=list)

    async def respond(self, _db, _scope, context, _passages):
        while self.meanwhile:
            await self.meanwhile.pop()()
        return Answer(f"You said: {context.question}", "reply", "repeating"), Spent()


@pytest.fixture
async def speech(llm, control):
    parts = urlsplit(llm)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    yield OpenAiSpeech(egress, f"{llm}/v1", "sandbox-speech", "key")
    await egress.aclose()


class Burst:
    """One customer's messages. `pass_time` sets the lane's clock on, and lets a worker look."""

    def __init__(self, scene, listening, rng):
        self.scene, self.listening, self.rng = scene, listening, rng
        self.said, self.delivered = [], []

    async def pass_time(self, seconds):
        world, gap = self.scene.world, timedelta(seconds=seconds * STRETCH)
        async with world.db.session(world.scope) as session:
            await session.execute(
                """update app.lane set due_at = due_at - $2::interval, wake_at = wake_at - $2::interval,
                          burst_started_at = burst_started_at - $2::interval where conversation_id = $1""",
                self.scene.conversation_id,
                gap,
            )
        if self.rng.random() < 0.5:
            await self.listen()
        await self.scene.advance()

    async def listen(self):
        await self.listening.fetch()
        await self.listening.hear()

    async def message(self, number):
        kind = self.rng.choice((None, None, "voice", "picture", "file"))
        words = f"{self.rng.choice(WORDS)} #{number}"
        self.said.append(words)
        content, text = (b"x", words) if kind is None else (recording(words, kind), "")
        made = await self.listening.message(kind or "file", content, text=text, at=utcnow())
        if kind is None:
            made = replace(made, attachment_type=None, attachment_url=None, attachment_name=None)
        return made

    async def play(self, *, least=1, in_the_middle=None):
        """Deliver all, each twice, and now and then two in the wrong order. `in_the_middle`: what happens
        once the first one or two have come.
        """
        left = [await self.message(number) for number in range(self.rng.randint(least, 6))]
        while left:
            now, left = left[:2], left[2:]
            self.rng.shuffle(now)
            for message in now:
                self.delivered.append(message)
                await self.scene.hears(message)
                await self.scene.hears(message)
                await self.pass_time(self.rng.uniform(0.2, 15.0))
            if in_the_middle is not None:
                await in_the_middle()
                in_the_middle = None

    async def end(self):
        await self.pass_time(DELAY_SECONDS)
        await self.listen()
        await self.scene.calm()


async def a_burst(world, tmp_path, speech, model, seed):
    rng = random.Random(seed)
    scene = await Scene.open(world)
    await scene.set_agent(response_delay_seconds=DELAY_SECONDS * STRETCH)
    pace = replace(scene.runner.pace, files_retry=timedelta(seconds=0.02))
    scene.runner = replace(scene.runner, pace=pace, responder=Repeating())
    listening = Listening(scene, LocalFiles(tmp_path), speech=speech, vision=model)
    return Burst(scene, listening, rng)


@pytest.mark.parametrize("seed", range(6))
async def test_a_burst_of_mixed_messages_gets_one_answer_to_all_of_it(world, tmp_path, speech, model, seed):
    """AGT-20, MSG-2, MSG-21, MSG-25: delivered twice and out of order, with voice, pictures and documents."""
    burst = await a_burst(world, tmp_path, speech, model, seed)
    await burst.play()
    assert await burst.scene.sent() == [], "no silence was long enough yet"
    await burst.end()
    (sent,) = await burst.scene.sent()
    assert [words for words in burst.said if words not in sent] == []
    assert await burst.scene.outcomes() == [("reply", None)]


@pytest.mark.parametrize("seed", range(10, 13))
async def test_what_comes_while_the_answer_is_made_is_part_of_the_one_answer(
    world, tmp_path, speech, model, seed
):
    """MSG-23"""
    burst = await a_burst(world, tmp_path, speech, model, seed)

    async def one_more():
        message = await burst.message("late")
        await burst.scene.hears(message)
        await burst.scene.hears(message)

    burst.scene.runner.responder.meanwhile.append(one_more)
    await burst.play()
    await burst.pass_time(DELAY_SECONDS)
    await burst.listen()
    await burst.scene.advance()
    assert await burst.scene.sent() == [], "it was made for less than is said by now"
    await burst.end()
    (sent,) = await burst.scene.sent()
    assert any("#late" in words for words in burst.said)
    assert [words for words in burst.said if words not in sent] == []


@pytest.mark.parametrize("while_it_is_made", [False, True])
async def test_where_a_person_answers_in_the_middle_nothing_of_the_agents_begins(
    world, tmp_path, speech, model, while_it_is_made
):
    """MSG-3, MSG-25 of the ledger: 0 bot messages after the takeover was stored."""
    burst = await a_burst(world, tmp_path, speech, model, 20)

    async def a_person():
        await burst.scene.says("I am on it", author="human")

    if while_it_is_made:
        burst.scene.runner.responder.meanwhile.append(a_person)
        await burst.play()
    else:
        await burst.play()
        await a_person()
    await burst.end()
    assert await burst.scene.sent() == []
    assert await burst.scene.outcomes() == [("refused", "taken_over")]


@pytest.mark.parametrize("seed", range(30, 34))
async def test_all_of_it_in_one_replay_gets_the_one_answer_that_fits(world, tmp_path, speech, model, seed):
    """AGT-20, MSG-2, MSG-3, MSG-21, MSG-23, MSG-25: a burst into which a person writes gets no reply. Once
    the agent has the chat again, the next burst, with the first one delivered once more between its messages
    and one more while the answer is made, gets one reply to all of it and to nothing else.
    """
    burst = await a_burst(world, tmp_path, speech, model, seed)
    scene = burst.scene

    async def a_person():
        await scene.says("I am on it", author="human")

    await burst.play(least=3, in_the_middle=a_person)
    await burst.end()
    assert await scene.sent() == []
    before, old = list(burst.said), list(burst.delivered)
    async with world.db.session(world.scope) as session:
        await world.inbox.resume(session, scene.conversation_id)
    await scene.calm()
    burst.said.clear()

    async def late_copies():
        for message in burst.rng.sample(old, len(old)):
            await scene.hears(message)

    async def one_more():
        message = await burst.message("late")
        await scene.hears(message)
        await scene.hears(message)

    scene.runner.responder.meanwhile.append(one_more)
    await burst.play(in_the_middle=late_copies)
    await burst.pass_time(DELAY_SECONDS)
    await burst.listen()
    await scene.advance()
    assert await scene.sent() == [], "it was made for less than is said by now"
    await burst.end()
    await late_copies()
    await burst.end()
    (sent,) = await scene.sent()
    assert any("#late" in words for words in burst.said)
    assert [words for words in burst.said if words not in sent] == []
    only_before = set(before) - set(burst.said)
    assert [words for words in only_before if words in sent] == []
