"""E-mail as a channel: letters of the CRM's mailboxes become conversations, answers are letters."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gptagent.adapters.kommo import log
from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.deliveries import reconcile
from gptagent.features.crm.letters import answer_subject, is_answerable
from gptagent.features.crm.model import Letter
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.drafts import service as drafts
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.jobs import OutgoingJobs
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.jobs import JobContext
from here import serving_here
from hookings import Door
from mailboxes import FROM
from readers import reader_of, texts
from scenes import PACE, Scene

ANN, SALES = "ann@customers.test", "sales@company.test"
ASKS = "Good morning! How much is delivery to the city?"
PRICE = "Delivery to the city costs 490 roubles."
NOW = {"settle": timedelta(0), "sender": "agents@example.test"}


class Post:
    """A workspace whose letters are read, with a mail server."""

    def __init__(self, world, mailbox):
        self.world, self.mailbox, self.door = world, mailbox, Door(world)
        self.mailer = SmtpMailer(SmtpServer.parse(mailbox.smtp), FROM)

    async def open(self, *, reads=True):
        self.scene = await Scene.open(self.world)
        self.scene.runner = replace(self.scene.runner, mailer=self.mailer)
        await self.scene.write_article("Delivery", PRICE)
        if reads:
            async with self.session() as session:
                await replying.change_setup(
                    session, self.place, {"reads_letters": True}, self.world.vault, sends_letters=True
                )
        return self

    @property
    def place(self):
        return self.world.hook.connection_id

    def session(self):
        return self.world.db.session(self.world.scope)

    async def writes(self, summary=ASKS, *, subject="Delivery", look=True, **more):
        letter = {"address": ANN, "name": "Ann", "subject": subject, "summary": summary, "mailbox": SALES}
        told = await self.world.account.call(
            "POST", "/letters", letter | {"leads": [self.scene.chat["lead_id"]]} | more
        )
        if look:
            await self.look()
        return told

    async def look(self):
        await self.door.reconcile(**NOW)
        async with self.session() as session:
            self.scene.conversation_id = await session.fetchval(
                "select id from app.conversation where channel = 'mail' order by created_at desc limit 1"
            )

    async def rows(self, sql, *args):
        async with self.session() as session:
            return [dict(row) for row in await session.fetch(sql, *args)]

    async def draft(self):
        await self.scene.calm()
        async with self.session() as session:
            return await drafts.find_current(session, self.scene.conversation_id)

    async def approve(self, draft, **more):
        async with self.session() as session:
            await drafts.approve(session, self.scene.conversation_id, draft.id, by="Alice", **more)

    async def send(self, one):
        await self.approve(one)
        await self.scene.calm()

    async def tasks(self):
        return [row["text"] for row in await self.rows("select text from app.crm_task order by created_at")]

    async def said(self):
        return await self.rows(
            "select author, text from app.message where conversation_id = $1 order by seq",
            self.scene.conversation_id,
        )


@pytest.fixture
async def post(world, mailbox):
    return await Post(world, mailbox).open()


async def test_a_letter_is_answered_by_a_letter_once_a_person_sends_it(post, mailbox):
    """MSG-19: Re: subject, plain text and HTML, a footer; an answer to it goes to the CRM's mailbox again"""
    await post.writes()
    draft = await post.draft()
    assert PRICE in draft.text and await mailbox.letters() == []
    await post.send(draft)
    (letter,) = await mailbox.letters()
    assert letter["recipients"] == [ANN]
    headers = dict(letter["headers"])
    assert (letter["subject"], headers["Reply-To"]) == ("Re: Delivery", SALES)
    assert headers["Message-ID"].startswith(f"<{draft.id}@") and "agents@example.test" in headers["From"]
    assert PRICE in letter["text"] and f"<p>«{PRICE}»" in letter["html"]
    for form in ("text", "html"):
        assert "prepared by an AI agent" in letter[form]
    assert [one["author"] for one in await post.said()] == ["customer", "agent"]
    await post.scene.calm()
    await post.look()
    assert len(await mailbox.letters()) == 1


async def test_a_letter_is_one_however_often_and_wherever_it_is_told(post, mailbox):
    """MSG-19, MSG-2: at the deal and at the contact, looked at again and again"""
    told = await post.writes(contacts=[post.scene.chat["contact_id"]])
    await post.look()
    await post.writes(
        look=False, message_id=told["message_id"], leads=[], contacts=[post.scene.chat["contact_id"]]
    )
    await post.look()
    assert [one["author"] for one in await post.said()] == ["customer"]
    await post.send(await post.draft())
    await post.look()
    assert await post.draft() is None
    assert len(await mailbox.letters()) == 1
    (own,) = await post.rows("select lead_id, contact_id from app.conversation where channel = 'mail'")
    assert own == {name: post.scene.chat[name] for name in ("lead_id", "contact_id")}


async def test_what_a_customer_writes_meanwhile_is_answered_with_the_first_letter(post, mailbox):
    """MSG-19: one answer to both"""
    told = await post.writes()
    first = await post.draft()
    await post.writes("And to the village?", subject="RE: Delivery", thread_id=told["thread_id"])
    second = await post.draft()
    assert second.id != first.id
    with pytest.raises(Conflict, match="reply_draft_outdated"):
        await post.approve(first)
    await post.send(second)
    (letter,) = await mailbox.letters()
    assert letter["subject"] == "RE: Delivery"
    assert [one["author"] for one in await post.said()] == ["customer", "customer", "agent"]


async def test_only_where_an_owner_wants_it_and_a_mail_server_is_set_are_letters_read(world, mailbox):
    post = await Post(world, mailbox).open(reads=False)
    await post.writes()
    assert post.scene.conversation_id is None
    async with post.session() as session:
        with pytest.raises(Invalid) as refused:
            await replying.change_setup(session, post.place, {"reads_letters": True}, world.vault)
    assert refused.value.fields[0].pointer == "reads_letters"
    async with post.session() as session:
        await replying.change_setup(
            session, post.place, {"reads_letters": True}, world.vault, sends_letters=True
        )
        assert "mail" in {one.origin for one in await crm.list_channels(session, post.place)}
        await replying.change_setup(session, post.place, {"reads_letters": False}, world.vault)
    await post.writes()
    assert post.scene.conversation_id is None


async def test_an_agent_that_is_kept_from_the_channel_is_silent(post, mailbox):
    """AGT-8"""
    await post.rows(
        "insert into app.crm_channel (connection_id, origin, source_id) values ($1, 'waba', 0)", post.place
    )
    for channel, answers in (("waba", False), ("mail", True)):
        await post.scene.set_agent(channels={"all": False, "chosen": [channel]})
        await post.writes(subject=channel)
        assert (await post.draft() is not None) == answers


async def test_a_colleague_who_answers_from_the_mailbox_takes_the_letter_over(post, mailbox):
    """MSG-19, AGT-27"""
    told = await post.writes()
    draft = await post.draft()
    await post.writes("490 roubles.", subject="Re: Delivery", income=False, thread_id=told["thread_id"])
    assert await post.draft() is None
    with pytest.raises(Conflict):
        await post.approve(draft)
    assert (await post.scene.conversation())["taken_over_at"] is not None
    assert [one["author"] for one in await post.said()] == ["customer", "human"]
    assert await mailbox.letters() == []


async def test_what_a_colleague_writes_to_somebody_else_does_not_turn_the_answer_there(post, mailbox):
    """MSG-19: it goes to the customer who wrote last"""
    async with post.session() as session:
        await organizations.update_settings(session, {"stop_on_human": False})
    told = await post.writes()
    await post.writes("Who?", income=False, thread_id=told["thread_id"], address="boss@company.test")
    await post.writes("And to the village?", thread_id=told["thread_id"])
    await post.send(await post.draft())
    assert [letter["recipients"] for letter in await mailbox.letters()] == [[ANN]]


async def test_a_mailing_is_read_to_its_end_and_keeps_no_later_letter_back(post, monkeypatch):
    """MSG-19: more letters in a minute than one look reads, and more than the log tells of at once"""
    monkeypatch.setattr(reconcile, "LETTERS_AT_ONCE", 4)
    monkeypatch.setattr(log, "LARGEST_LOG_PAGE", 3)
    contact = [post.scene.chat["contact_id"]]
    for number in range(9):
        await post.writes(f"No. {number}", subject=f"Letter {number}", contacts=contact, look=False)
        if number == 4:
            await asyncio.sleep(1.1)  # the log counts seconds
    for _ in range(12):
        await post.look()
    told = await post.rows("select text from app.message order by text")
    assert [row["text"].split("\n")[0] for row in told] == [f"Letter {number}" for number in range(9)]
    monkeypatch.undo()
    before = (await post.world.account.call("GET", "/stats"))["requests"]
    await post.look()
    asked = (await post.world.account.call("GET", "/stats"))["requests"] - before
    assert asked < 6, "no note is read again"


async def test_a_letter_of_a_thread_whose_deal_is_closed_belongs_to_the_open_one(post):
    """MSG-19: the CRM files it where the thread began"""
    lead, contact = post.scene.chat["lead_id"], post.scene.chat["contact_id"]
    for number, kind in ((lead, "won"), (lead + 1, "open")):
        await post.rows(
            """insert into app.crm_lead (connection_id, external_id, pipeline_id, stage_id, contact_ids)
               select $1, $2, pipeline_id, external_id, array[$3::bigint] from app.crm_stage
                where connection_id = $1 and kind = $4 limit 1
               on conflict (org_id, connection_id, external_id) do update
                  set stage_id = excluded.stage_id, contact_ids = excluded.contact_ids""",
            post.place,
            number,
            contact,
            kind,
        )
    await post.writes()
    (own,) = await post.rows("select lead_id, contact_id from app.conversation where channel = 'mail'")
    assert own == {"lead_id": lead + 1, "contact_id": contact}


async def test_an_account_that_shows_no_letters_still_shows_messages(post):
    fault = {"method": "GET", "path": "/events", "action": "status", "status": 400, "count": 1}
    await post.world.account.call("POST", "/knobs", {"drop": 1.0})
    chat = post.scene.chat
    await post.world.account.call("POST", f"/chats/{chat['chat_id']}/customer", {"text": "Hello"})
    await post.writes(look=False)
    await post.world.account.call("POST", "/faults", fault | {"query": "incoming_mail"})
    await post.look()
    assert post.scene.conversation_id is None
    assert [row["text"] for row in await post.rows("select text from app.message")] == ["Hello"]
    await post.look()
    assert post.scene.conversation_id is not None


async def test_our_own_letter_that_a_mailbox_finds_is_nobodys_word(post):
    told = await post.writes()
    await post.send(await post.draft())
    ours = {"income": False, "thread_id": told["thread_id"], "mailbox": "Agents@example.test"}
    await post.writes(PRICE, subject="Re: Delivery", **ours)
    assert [one["author"] for one in await post.said()] == ["customer", "agent"]
    assert (await post.scene.conversation())["taken_over_at"] is None


@pytest.mark.parametrize("address", ["no-reply@shop.test", "mailer-daemon@shop.test", "not an address"])
async def test_what_a_program_writes_is_not_answered(post, address):
    """MSG-19: an answer would be answered"""
    await post.writes(address=address)
    assert post.scene.conversation_id is None


async def test_a_mail_server_that_is_away_gets_the_letter_once_it_is_back(post, mailbox):
    """MSG-19"""
    await post.writes()
    draft = await post.draft()
    await mailbox.break_at("rcpt", code=451, count=3)
    await post.send(draft)
    assert len(await mailbox.letters()) == 1
    assert [one["author"] for one in await post.said()] == ["customer", "agent"]


async def test_a_letter_that_is_refused_for_good_becomes_a_task(post, mailbox):
    await post.writes()
    draft = await post.draft()
    await mailbox.break_at("rcpt", code=550, count=1)
    await post.send(draft)
    assert await mailbox.letters() == []
    of_draft, of_refusal = await post.tasks()
    assert "waits for your approval" in of_draft and "waits for your approval" not in of_refusal
    assert [one["author"] for one in await post.said()] == ["customer"]


async def test_a_letter_whose_taking_was_not_confirmed_is_not_sent_again(post, mailbox):
    """MSG-19: a person is asked to look, for nobody can read a mail server back"""
    await post.writes()
    draft = await post.draft()
    await mailbox.break_at("sent", drop=True)
    await post.send(draft)
    assert len(await mailbox.letters()) == 1
    _of_draft, to_look = await post.tasks()
    assert "It is not known" in to_look
    await post.scene.advance()
    assert len(await mailbox.letters()) == 1


class KilledError(BaseException):
    """What a killed process looks like to the code that ran: nothing of it runs on."""


@pytest.mark.parametrize("sends", [True, False], ids=["after the letter", "before the letter"])
async def test_a_worker_that_is_killed_at_the_letter_leaves_one_at_most(post, mailbox, sends):
    """MSG-19: between the fence and the record nobody knows whether it left, so a person is asked"""

    class Dying:
        async def send(self, message):
            if sends:
                await post.mailer.send(message)
            raise KilledError

    await post.writes()
    await post.approve(await post.draft())
    alive = post.scene.runner
    post.scene.runner = replace(alive, mailer=Dying())
    with pytest.raises(KilledError):
        await post.scene.advance()
    post.scene.runner = alive
    await post.scene.calm()
    assert len(await mailbox.letters()) == sends
    assert "It is not known" in (await post.tasks())[-1]
    await post.scene.advance()
    assert len(await mailbox.letters()) == sends


async def test_a_colleague_writes_by_letter_in_their_own_words(post, mailbox):
    """MSG-19, AGT-27: without the footer of what an agent has prepared"""
    await post.writes()
    await post.draft()
    async with post.session() as session:
        _owed, event = await outgoing.write(
            session, post.scene.conversation_id, "**490** roubles.\nYours, Bob", by="Bob", now=utcnow()
        )
        await lanes.Lanes().on_hold_changed(session, event)
    jobs = OutgoingJobs(post.scene.crm, post.world.vault, PACE, post.mailer)
    for _ in range(2):
        await post.scene.send_once(jobs, 1)
    (letter,) = await mailbox.letters()
    assert "<strong>490</strong> roubles.<br" in letter["html"] and letter["text"].split()[-1] == "Bob"
    assert "AI agent" not in letter["html"] + letter["text"]


async def test_what_was_written_is_left_on_the_deal(post, mailbox):
    await post.writes()
    await post.send(await post.draft())
    actions = ActionJobs(post.scene.crm, post.world.vault)
    for row in await post.rows("select id from app.crm_action"):
        await actions.perform(
            JobContext(post.world.db, None, post.world.scope, 1, 1), action_id=str(row["id"])
        )
    (note,) = await post.rows(
        "select state, external_id, entity_id, request::text as said from app.crm_action"
    )
    assert (note["state"], note["entity_id"]) == ("done", post.scene.chat["lead_id"])
    assert note["external_id"] and "Re: Delivery" in note["said"] and "490" in note["said"]


async def test_nothing_but_an_answer_leaves_by_itself(post, mailbox):
    """MSG-19: what an agent would say with a hand-off is not told by letter"""
    await post.scene.set_agent(split_replies=True, welcome_text="Welcome!")
    await post.writes()
    draft = await post.draft()
    assert draft.text.startswith("Welcome!") and await mailbox.letters() == []
    assert await post.scene.owed() == []


async def test_on_the_pages_letters_are_switched_on_and_shown(post, mailbox, home):
    """MSG-19"""
    page = f"/integrations/{post.place}/replies"
    smtp = {"smtp_url": mailbox.smtp, "mail_from": FROM}
    async with serving_here(home) as url, reader_of(url, post.world.db, post.world.scope) as owner:
        refused = await owner.send(page, {"mode": "automatic", "widget_step": "1"})  # off needs no server
        assert refused.status_code == 303
        shut = await owner.open(page)
        assert "The platform has no mail server" in texts(shut)
        refused = await owner.send(page, {"mode": "automatic", "widget_step": "1", "reads_letters": "on"})
        assert refused.status_code == 422 and "The platform has no mail server" in texts(refused)
    async with serving_here(home, **smtp) as url, reader_of(url, post.world.db, post.world.scope) as owner:
        await owner.send(page, {"mode": "automatic", "widget_step": "1", "reads_letters": "on"})
        assert "Letters in 30 days" in texts(await owner.open(page))
        await post.writes()
        await post.draft()
        shown = texts(await owner.open(f"/conversations/{post.scene.conversation_id}"))
        for words in ("E-mail. The CRM tells the subject and the beginning", ANN, SALES, "E-mail", "Subject"):
            assert words in shown
        assert "E-mail" in texts(await owner.open("/conversations"))


@pytest.mark.parametrize(
    ("subject", "answered"),
    [
        ("Delivery", "Re: Delivery"),
        ("Re: Delivery", "Re: Delivery"),
        ("RE[2]: Delivery", "RE[2]: Delivery"),
        ("Fwd: Delivery", "Fwd: Delivery"),
        ("Отв: Доставка", "Отв: Доставка"),
        ("Reply wanted", "Re: Reply wanted"),
        ("A\r\nBcc: all@customers.test", "Re: A Bcc: all@customers.test"),
        ("x" * 400, f"Re: {'x' * 196}"),
    ],
)
def test_the_subject_of_an_answer(subject, answered):
    """MSG-19"""
    assert answer_subject(subject) == answered


@pytest.mark.parametrize(
    ("address", "is_person"),
    [
        (ANN, True),
        ("Noreen@customers.test", True),
        ("noreply@shop.test", False),
        ("Do-Not-Reply@shop.test", False),
        ("postmaster@shop.test", False),
        ("", False),
        ("a@b", False),
    ],
)
def test_who_may_be_answered(address, is_person):
    assert is_answerable(Letter("Hello", address, SALES)) == is_person
