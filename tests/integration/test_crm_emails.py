"""E-mails to contacts: templates checked and filled, sent once at most, to the address the CRM has."""

from datetime import timedelta

import pytest

from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer
from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.actions.model import Email
from gptagent.features.crm.actions.places import VARIABLES_MAX, check_email
from gptagent.features.privacy import store as privacy
from gptagent.features.privacy.keeping import store as keeping
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound, RateLimited, UpstreamUnavailable
from integration.crm_desk import Desk
from mailboxes import FROM
from scenes import Wrapped

ADDRESS = "ann@customers.test"
PLAIN = Email("Hello", "How are you?")


class Post(Desk):
    """A desk with a mail server, and a contact that has an address."""

    mailer = None

    async def open_with(self, mailbox):
        await self.open()
        self.mailer = SmtpMailer(SmtpServer.parse(mailbox.smtp), FROM, step_seconds=60)
        email = next(one.id for one in self.known.fields if one.code == "EMAIL")
        names = {"first_name": "Ann", "last_name": "<Lee>"}
        await self.write(self.contact, Asked(names, fields={email: f" {ADDRESS.upper()}"}))
        self.email_field = email
        return self

    async def email(self, email=PLAIN, **options):
        options = {"sends_letters": True, "now": utcnow(), **options}
        return await self.ask(service.send_email, self.contact, email, **options)

    async def perform(self, action, port=None):
        jobs = ActionJobs(port or self.crm, self.world.vault, self.mailer)
        await jobs.perform(self.context(), action_id=str(action.id))
        return await self.ask(service.get_action, self.id, action.id)


@pytest.fixture
async def post(world, mailbox):
    return await Post(world).open_with(mailbox)


@pytest.mark.parametrize(
    ("email", "pointer"),
    [
        (Email("Hi {{contact.phone}}", "x"), "subject"),
        (Email("Hi", "{{ order }}", {"number": "1"}), "text"),
        (Email("Hi", "{{deal.name}}"), "text"),
        (Email("Hi", "{{contact.name}"), "text"),
        (Email("Hi", "{{contact.{{name}}}}"), "text"),
        (Email("Hi", "contact.name}}"), "text"),
        (Email(" ", "x"), "subject"),
        (Email("Hi", "\n"), "text"),
        (Email("x" * 201, "x"), "subject"),
        (Email("Hi", "x" * 10_001), "text"),
        (Email("Hi", "x", {"deal.name": "1"}), "variables"),
        (Email("Hi", "x", {"Order": "1"}), "variables"),
        (Email("Hi", "x", {f"v{number}": "" for number in range(VARIABLES_MAX + 1)}), "variables"),
        (Email("Hi", "x", {"number": "1" * 1001}), "variables/number"),
    ],
)
def test_a_template_with_a_place_nothing_stands_for_is_refused(email, pointer):
    """CRM-23"""
    with pytest.raises(Invalid) as refusal:
        check_email(email)
    assert [one.pointer for one in refusal.value.fields] == [pointer]


def test_a_refusal_lists_what_there_is():
    with pytest.raises(Invalid) as refusal:
        check_email(Email("Hi", "{{ order }}", {"number": "1"}, 7))
    known = refusal.value.fields[0].params["known"].split(", ")
    assert known == [
        "contact.name",
        "contact.first_name",
        "contact.last_name",
        "deal.name",
        "deal.price",
        "workspace.name",
        "number",
    ]


async def test_an_email_is_filled_escaped_sent_in_the_workspaces_name_and_left_as_a_note(post, mailbox):
    """CRM-23"""
    asked = Email(
        "Order {{number}}\r\nBcc: eve@evil.test",
        "Dear {{ contact.first_name }} {{contact.last_name}},\n{{number}} of {{deal.name}}.\n\n"
        "{{workspace.name}}",
        {"number": "7 {{contact.name}}"},
        post.lead.id,
    )
    await post.write(post.lead, Asked({"name": "The <b>big</b> deal"}))
    done = await post.settle(await post.email(asked))
    assert (done.state, done.error_code, done.kind) == ("done", None, "send_email")
    (letter,) = await mailbox.letters()
    assert letter["recipients"] == [ADDRESS]
    assert letter["subject"] == "Order 7 {{contact.name}} Bcc: eve@evil.test"
    async with post.session() as session:
        workspace = await session.fetchval("select name from app.organization")
    assert letter["text"].replace("\r\n", "\n") == (
        f"Dear Ann <Lee>,\n7 {{{{contact.name}}}} of The <b>big</b> deal.\n\n{workspace}\n"
    )
    assert "&lt;Lee&gt;,<br>7" in letter["html"] and "<b>" not in letter["html"]
    headers = {name.lower(): value for name, value in letter["headers"]}
    assert headers["message-id"] == f"<{done.id}@example.test>" and workspace in headers["from"]
    async with post.session() as session:
        note_id = await session.fetchval("select id from app.crm_action where kind = 'add_note'")
        payloads = await session.fetch("select convert_from(payload, 'utf8') as told from jobs.pgqueuer")
    assert not any("ann@" in one["told"].lower() or "Dear" in one["told"] for one in payloads)
    note = await post.settle(await post.ask(service.get_action, post.id, note_id))
    assert note.state == "done" and note.entity_id == post.contact.id


async def test_a_mail_server_that_wants_none_now_gets_it_later_and_once(post, mailbox):
    await mailbox.break_at("rcpt", code=451)
    action = await post.email()
    with pytest.raises(UpstreamUnavailable):
        await post.perform(action)
    assert (await post.settle(action)).state == "done"
    assert (await post.perform(action)).state == "done"
    assert len(await mailbox.letters()) == 1


async def test_an_email_that_may_have_come_is_never_sent_again(post, mailbox):
    """CRM-23"""
    await mailbox.break_at("sent", drop=True)
    action = await post.email()
    for _ in range(2):
        done = await post.perform(action)
        assert (done.state, done.error_code) == ("unknown", "mail_unconfirmed")
    assert len(await mailbox.letters()) == 1

    class KilledError(Exception):
        pass

    class Dies:
        async def send(self, message):
            await mailer.send(message)
            raise KilledError

    mailer, post.mailer = post.mailer, Dies()
    action = await post.email()
    with pytest.raises(KilledError):
        await post.perform(action)
    post.mailer = mailer
    assert (await post.perform(action)).state == "unknown"
    assert len(await mailbox.letters()) == 2


async def test_what_will_never_arrive_ends_with_its_reason(post, mailbox):
    await mailbox.break_at("rcpt", code=550)
    done = await post.perform(await post.email())
    assert (done.state, done.error_code) == ("failed", "mail_refused")
    await post.write(post.contact, Asked({}, fields={post.email_field: "nowhere"}))
    done = await post.perform(await post.email())
    assert (done.state, done.error_code) == ("failed", "contact_without_email")
    post.mailer = None
    done = await post.perform(await post.email())
    assert (done.state, done.error_code) == ("failed", "email_not_set_up")
    with pytest.raises(Conflict) as refusal:
        await post.email(sends_letters=False)
    assert refusal.value.code == "email_not_set_up" and "SMTP_URL" in refusal.value.message
    assert await mailbox.letters() == []


async def test_a_crm_that_does_not_answer_delays_the_email_only(post, mailbox):
    async def away(*_args):
        raise UpstreamUnavailable("crm_unavailable", "away")

    action = await post.email()
    with pytest.raises(UpstreamUnavailable):
        await post.perform(action, Wrapped(post.crm, fetch_values=away))
    assert (await post.settle(action)).state == "done" and len(await mailbox.letters()) == 1


async def test_nobody_is_flooded_and_nobody_elses_contact_is_written_to(post, other_scope):
    """API-3"""
    for _ in range(service.EMAILS_PER_CONTACT):
        await post.email()
    with pytest.raises(RateLimited) as refusal:
        await post.email()
    assert refusal.value.code == "too_many_letters"
    await post.email(now=utcnow() + timedelta(hours=2))
    with pytest.raises(Invalid):
        await post.email(Email("Hi", "x", {}, 1))
    async with post.world.db.session(other_scope) as session:
        with pytest.raises(NotFound):
            await service.send_email(session, post.contact, PLAIN, sends_letters=True, now=utcnow())


async def test_an_email_is_handed_out_and_erased_with_its_customer(post):
    """PRV-2"""
    await post.settle(await post.email())
    async with post.session() as session:
        kept = keeping.kept_of_actions(post.id, [], [post.contact.id])
        assert await keeping.count(session, kept["actions"]) == 3  # what named them, the e-mail, its note
        await privacy.erase_actions(session, post.id, [], [post.contact.id])
        assert await session.fetchval("select count(*) from app.crm_action where kind = 'send_email'") == 0
