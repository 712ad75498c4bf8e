"""Words to a customer that an agent prepares and a person sends: about a payment, and as an e-mail."""

import asyncio
import re

import pytest

from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.acting import service
from gptagent.features.dialog.acting.jobs import ActingJobs
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from integration.acting_desk import Desk
from integration.conftest import serving_here
from mailboxes import FROM, mailbox_here
from readers import reader_of, texts
from scenes import Scene

ADDRESS = "ann@customers.test"
SURE = {"reason": "", "confidence": 0.9}
ASKS = "How do I pay? How much does delivery to the city cost?"
PREPARED = "You asked about the payment. Your order comes to $9,000. How would you like to pay?"


@pytest.fixture
async def desk(world, model, control):
    return await Desk(await Scene.open(world), control, model).open()


async def spoken_of_payment(desk, *, price=9_000, words=ASKS, **actions):
    """Let the customer speak of paying for a deal of such a value; return what is proposed."""
    await desk.scene.set_agent(actions={"send_message": "approve", **actions})
    desk.calls(("tell_intent", {"intent": "payment", "confidence": 1}))
    await desk.says(words, acts=False)
    async with desk.session() as session:
        await session.execute("update app.crm_lead set price = $1", price)
    await desk.act()
    return await desk.proposals()


async def approve(desk, proposal, **more):
    async with desk.session() as session:
        return await service.approve(session, desk.scene.conversation_id, proposal.id, by="Alice", **more)


async def test_who_speaks_of_payment_gets_a_prepared_message_only_when_a_person_sends_it(desk):
    """MSG-14: 60 %, in place of a task; sent once, as a colleague's"""
    (one,) = await spoken_of_payment(desk, create_task="alone")
    assert (one.action, one.degree, round(one.confidence, 1)) == ("send_message", "approve", 0.6)
    assert one.shown == PREPARED
    (answer,) = await desk.scene.sent()
    assert await desk.scene.owed() == [] and await desk.ledger("task") == []
    done = await approve(desk, one)
    assert (done.state, done.action_state, done.action_id) == ("done", "pending", None)
    with pytest.raises(Conflict, match="proposal_decided"):
        await approve(desk, one)
    await desk.scene.send_owed()
    await desk.scene.send_owed()
    assert await desk.scene.sent() == [answer, PREPARED]
    (message,) = await desk.rows("select author, author_name from app.message where author = 'human'")
    assert tuple(message) == ("human", "Alice")
    assert (await desk.scene.conversation())["taken_over_at"] is not None
    assert [done.action_state for done in await desk.proposals()] == ["done"]
    told = await desk.rows("select action from app.audit_event where target_kind = 'conversation'")
    assert {"conversation.replied", "action_proposal.approved"} <= {row["action"] for row in told}


async def test_two_people_who_send_a_prepared_message_at_once_send_one(desk):
    """MSG-14"""
    (one,) = await spoken_of_payment(desk)
    ended = await asyncio.gather(*(approve(desk, one) for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == ["Conflict"] * 3 + ["KeptProposal"]
    await desk.scene.send_owed()
    assert (await desk.scene.sent())[1:] == [PREPARED]


async def test_a_reply_that_meets_a_prepared_message_comes_before_or_after_it(desk):
    """MSG-14: who comes first locks the chat; neither waits for the other without end"""
    (one,) = await spoken_of_payment(desk)
    written = asyncio.Event()

    async def reply():
        async with desk.session() as session:
            _owed, event = await outgoing.write(
                session, desk.scene.conversation_id, "By card.", by="Bob", now=utcnow()
            )
            written.set()
            while not await session.fetchval("select true from pg_locks where not granted limit 1"):
                assert not approving.done()
                await asyncio.sleep(0.01)
            await lanes.Lanes().on_hold_changed(session, event)

    async def a_little_later():
        await written.wait()
        await approve(desk, one)

    approving = asyncio.create_task(a_little_later())
    ended = await asyncio.gather(reply(), approving, return_exceptions=True)
    assert [type(each).__name__ for each in ended] == ["NoneType", "Conflict"]
    await desk.scene.send_owed()
    assert (await desk.scene.sent())[1:] == ["By card."]


async def test_a_prepared_message_is_never_taken_for_the_answer_to_what_the_customer_asks_next(desk):
    """MSG-14: what is asked meanwhile gets its one answer, for a colleague's message would count as it"""
    async with desk.session() as session:
        await organizations.update_settings(session, {"stop_on_human": False})
    (one,) = await spoken_of_payment(desk)
    await desk.scene.says("And how much is delivery to the city?")
    with pytest.raises(Conflict, match="customer_waits"):
        await approve(desk, one)
    await desk.scene.calm()
    assert len(await desk.scene.sent()) == 2, "both questions are answered"
    await approve(desk, one)
    await desk.scene.send_owed()
    assert (await desk.scene.sent())[2:] == [PREPARED]


async def test_a_prepared_message_never_takes_the_place_of_a_draft(desk):
    """MSG-14, AGT-19"""
    await desk.scene.set_agent(check_before_sending=True)
    (one,) = await spoken_of_payment(desk)
    with pytest.raises(Conflict, match="customer_waits"):
        await approve(desk, one)
    (row,) = await desk.rows("select draft_state from app.turn where draft_state is not null")
    assert row["draft_state"] == "waiting" and await desk.scene.owed() == []


async def test_a_prepared_message_goes_in_the_customers_language_and_in_a_persons_words(desk):
    (one,) = await spoken_of_payment(desk, words="Как оплатить доставку в город?", price=15_500)
    told = "Вы спрашивали об оплате. Сумма вашего заказа — 15\u00a0500\u00a0$. Как вам удобнее оплатить?"
    assert one.shown == told
    with pytest.raises(Invalid):
        await approve(desk, one, text="x" * 1_001)
    await approve(desk, one, text="Оплатите по счёту.")
    await desk.scene.send_owed()
    assert (await desk.scene.sent())[1:] == ["Оплатите по счёту."]


async def test_without_a_value_or_another_wish_no_message_is_prepared(desk):
    """MSG-14"""
    assert await spoken_of_payment(desk, price=0) == []
    desk.calls(("tell_intent", {"intent": "inquiry", "confidence": 1}))
    await desk.says()
    assert await desk.proposals() == []


async def test_once_a_person_has_written_a_prepared_message_is_outdated(desk):
    """MSG-14: the customer gets one answer to it"""
    (one,) = await spoken_of_payment(desk)
    await desk.scene.says("Pay by card, please.", author="human")
    assert await desk.proposals() == []
    with pytest.raises(Conflict, match="proposal_decided"):
        await approve(desk, one)
    assert await desk.scene.owed() == []


async def test_a_prepared_message_never_names_a_value_that_the_deal_had_before(desk):
    """MSG-14: it is not sent then, and the next one takes its place"""
    (old,) = await spoken_of_payment(desk)
    async with desk.session() as session:
        await session.execute("update app.crm_lead set price = 12000")
    with pytest.raises(Conflict, match="proposal_impossible"):
        await approve(desk, old)
    (new,) = await spoken_of_payment(desk, price=12_000, words="And how do I pay by card?")
    assert new.shown == PREPARED.replace("9,000", "12,000")
    with pytest.raises(Conflict, match="proposal_decided"):
        await approve(desk, old)
    async with desk.session() as session:
        await session.execute("update app.crm_lead set price = 13000")
    await approve(desk, new, text="It is 13000 by now.")
    await desk.scene.send_owed()
    assert (await desk.scene.sent())[2:] == ["It is 13000 by now."]


@pytest.mark.parametrize("action", ["send_message", "send_email"])
async def test_words_to_a_customer_are_never_sent_alone(desk, action):
    """MSG-14: no setting allows it, and the database keeps no such proposal"""
    with pytest.raises(Invalid):
        await desk.scene.set_agent(actions={action: "alone"})
    (one,) = await spoken_of_payment(desk)
    with pytest.raises(Exception, match="action_proposal_sent_by_person"):
        async with desk.session() as session:
            await session.execute(
                "update app.action_proposal set degree = 'alone', action = $2 where id = $1", one.id, action
            )


@pytest.fixture(scope="module")
async def mailbox():
    async with mailbox_here() as mailbox:
        yield mailbox


async def with_address(desk):
    """Let the contact have an e-mail address."""
    await desk.scene.set_agent(actions={"fill_contact": "alone"})
    desk.calls(("fill_contact", {"phone": "", "email": ADDRESS, **SURE}))
    await desk.says(f"Write to {ADDRESS}. How much does delivery to the city cost?")
    async with desk.session() as session:
        sync = await syncing.request_sync(session, desk.id, "manual")
    await SyncJobs(desk.scene.crm, desk.world.vault).run(desk.context(), sync_id=str(sync.id))
    actions = {"fill_contact": "off", "create_task": "suggest", "send_email": "approve"}
    await desk.scene.set_agent(actions=actions)


async def test_where_nothing_else_is_to_be_done_an_email_is_prepared_that_a_person_sends(desk, mailbox):
    """MSG-14: 30 % at most, by the platform's mail server, once"""
    await with_address(desk)
    desk.jobs = ActingJobs(desk.model, sends_letters=True)
    letter = {"subject": "Delivery", "text": "Dear Ann,\nit costs 490 roubles.", **SURE}
    desk.calls(
        ("tell_intent", {"intent": "inquiry", "confidence": 1}),
        ("send_email", {**letter, "text": "Dear {{contact.name}}"}),
        ("send_email", letter),
    )
    await desk.says()
    assert [verdict for _tool, verdict in await desk.verdicts()] == ["taken", "argument_invalid", "taken"]
    (one,) = [each for each in await desk.proposals() if each.state == "waiting"]
    assert (one.action, one.degree, round(one.confidence, 1)) == ("send_email", "approve", 0.3)
    assert one.shown == "Delivery\nDear Ann,\nit costs 490 roubles."
    with pytest.raises(Conflict, match="email_not_set_up"):
        await approve(desk, one)
    assert await mailbox.letters() == []
    done = await approve(desk, one, text="Dear Ann,\nit costs 500.", sends_letters=True)
    assert done.shown == "Delivery\nDear Ann,\nit costs 500."
    mailer = SmtpMailer(SmtpServer.parse(mailbox.smtp), FROM)
    jobs = ActionJobs(desk.scene.crm, desk.world.vault, mailer)
    for _ in range(2):
        await jobs.perform(desk.context(), action_id=str(done.action_id))
    (came,) = await mailbox.letters()
    assert (came["recipients"], came["subject"]) == ([ADDRESS], "Delivery")
    assert came["text"].replace("\r\n", "\n").strip() == "Dear Ann,\nit costs 500."


async def test_the_newest_prepared_email_takes_the_place_of_one_that_waits(desk):
    """MSG-14: what was worded before the customer went on is not what is to be sent"""
    await with_address(desk)
    desk.jobs = ActingJobs(desk.model, sends_letters=True)
    for text in ("It costs 490 roubles.", "It takes two days."):
        desk.calls(("send_email", {"subject": "Delivery", "text": text, **SURE}))
        await desk.says()
    waiting = [each for each in await desk.proposals() if each.state == "waiting"]
    assert [each.shown for each in waiting] == ["Delivery\nIt takes two days."]
    with pytest.raises(Invalid):
        await approve(desk, waiting[0], text="Dear {{nobody}}", sends_letters=True)
    await approve(desk, waiting[0], text="It takes two days.\r\n", sends_letters=True)
    told = await desk.rows("select changes from app.audit_event where action = 'action_proposal.approved'")
    assert ["text" in row["changes"] for row in told] == [False], "nobody has worded it otherwise"


async def test_no_email_is_prepared_beside_another_action_or_without_a_mail_server(desk):
    """MSG-14"""
    await with_address(desk)
    letter = ("send_email", {"subject": "Delivery", "text": "It costs 490 roubles.", **SURE})
    desk.calls(("tell_intent", {"intent": "request_callback", "confidence": 1}), letter)
    await desk.says("Call me. How much does delivery to the city cost?")
    assert ("send_email", "tool_not_allowed") in await desk.verdicts()
    desk.jobs = ActingJobs(desk.model, sends_letters=True)
    await desk.says("Please call me. How much does delivery to the city cost?")
    assert ("send_email", "not_needed") in await desk.verdicts()
    assert [each.action for each in await desk.proposals() if each.state == "waiting"] == ["create_task"]


@pytest.mark.parametrize(
    ("state", "told"), [("unknown", "it is not known whether it arrived"), ("not_sent", "Not sent")]
)
async def test_what_became_of_a_sent_message_is_told_as_it_is(desk, home, state, told):
    """MSG-14: who believes that nothing was sent writes a second time"""
    (one,) = await spoken_of_payment(desk)
    await approve(desk, one)
    async with desk.session() as session:
        await session.execute("update app.outgoing set state = $2 where id = $1", one.id, state)
    async with serving_here(home) as url, reader_of(url, desk.world.db, desk.world.scope) as owner:
        beside = texts(await owner.open(f"/conversations/{desk.scene.conversation_id}?part=proposals"))
    assert told in beside and "The CRM did not take it" not in beside


async def test_on_the_page_a_prepared_message_is_sent_taken_into_the_reply_or_rejected(desk, home):
    """MSG-14"""
    (one,) = await spoken_of_payment(desk)
    chat = f"/conversations/{desk.scene.conversation_id}"
    async with serving_here(home) as url, reader_of(url, desk.world.db, desk.world.scope) as owner:
        beside = texts(await owner.open(chat))
        assert "$9,000" in beside
        assert "Write to the customer about the payment" in beside and "Put into the reply" in beside
        taken = await owner.send(f"{chat}/proposals/{one.id}/approval", {"use": "reply"})
        (typed,) = re.findall(r'<textarea[^>]* name="reply\.text"[^>]*>([^<]*)</textarea>', taken.text)
        assert typed.strip() == PREPARED
        assert [each.state for each in await desk.proposals()] == ["waiting"]
        sent = await owner.follow(await owner.send(f"{chat}/proposals/{one.id}/approval", {}))
        assert "It is on its way" in texts(sent)
        words = {"back": "queue", "edits": "1", "text": "Pay at the door, please."}
        late = await owner.send(f"{chat}/proposals/{one.id}/approval", words)
        assert late.status_code == 409 and "Pay at the door, please." in late.text, "nothing typed is lost"
        assert "Somebody has decided about this already" in texts(late)
    await desk.scene.send_owed()
    assert (await desk.scene.sent())[1:] == [PREPARED]
