"""Letters: how they look, that they are kept sealed, and what happens when a mail server refuses."""

import asyncio
from email import message_from_string
from email.policy import default

import pytest

from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer, build_email
from gptagent.features.mail import service as mail
from gptagent.features.mail.jobs import MailJobs
from gptagent.features.mail.model import Letter, Message
from gptagent.features.mail.rendering import compose
from gptagent.kernel.errors import Conflict, Misconfigured, OutcomeUnknown, UpstreamUnavailable
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext, list_jobs
from gptagent.kernel.scope import PLATFORM_ID, Scope
from mailboxes import FROM
from servers import working

LINK = "https://agents.example.test/reset-password/abc"


@pytest.fixture
def mailer(mailbox):
    return SmtpMailer(SmtpServer.parse(mailbox.smtp), FROM)


def letter(to="eve@example.test", locale="en", **values):
    return Letter("identity/reset_password", to, locale, {"email": to, "link": LINK, **values})


def context(database, scope, attempt=1):
    return JobContext(database, None, scope, 1, attempt)


@pytest.mark.parametrize(("locale", "subject"), [("en", "Set a new password"), ("ru", "Новый пароль")])
async def test_a_letter_comes_in_the_readers_language_as_text_and_html(mailbox, mailer, locale, subject):
    message = compose(letter(locale=locale))
    await mailer.send(message)
    (come,) = await mailbox.letters()
    assert come["subject"] == subject and come["recipients"] == ["eve@example.test"]
    assert LINK in come["text"] and f'href="{LINK}"' in come["html"]
    assert f'lang="{locale}"' in come["html"] and "<" not in come["text"]
    headers = {name.lower(): value for name, value in come["headers"]}
    assert headers["from"] == FROM and headers["message-id"] == f"<{message.id}@example.test>"
    assert {"date", "auto-submitted"} <= headers.keys() and "multipart/alternative" in headers["content-type"]


async def test_what_people_wrote_is_escaped_in_html_and_as_it_is_in_text():
    message = compose(letter(email='<img src=x>"&'))
    assert "<img" not in message.html and "&lt;img src=x&gt;" in message.html
    assert '<img src=x>"&' in message.text


EVIL = ["a@x.test\r\nBcc: b@evil.test", "a@x.test\nSubject: x", "a@x.test, b@evil.test"]


@pytest.mark.parametrize("evil", EVIL)
async def test_a_recipient_cannot_smuggle_in_a_header_or_another_one(mailbox, mailer, evil):
    with pytest.raises(Conflict) as refused:
        await mailer.send(Message(new_id(), evil, "Subject", "Text", "<p>Text</p>"))
    assert refused.value.code == "mail_unsendable"
    assert await mailbox.letters() == []


async def test_a_subject_cannot_smuggle_in_a_header():
    with pytest.raises(ValueError, match="linefeed"):
        build_email(Message(new_id(), "a@x.test", "x\r\nBcc: b@evil.test", "", ""), FROM)
    assert "\n" not in compose(letter()).subject


@pytest.mark.parametrize("step", ["connect", "mail", "rcpt", "data"])
async def test_a_server_that_wants_none_now_may_be_asked_again(mailbox, mailer, step):
    await mailbox.break_at(step, code=421 if step == "connect" else 451)
    with pytest.raises(UpstreamUnavailable) as refused:
        await mailer.send(compose(letter()))
    assert refused.value.retryable and "eve@" not in str(refused.value)
    await mailer.send(compose(letter()))
    assert len(await mailbox.letters()) == 1


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
async def test_a_server_that_refuses_for_good_is_not_asked_again(mailbox, mailer, step):
    await mailbox.break_at(step, code=550)
    with pytest.raises(Conflict) as refused:
        await mailer.send(compose(letter()))
    assert not refused.value.retryable and refused.value.params == {"code": 550}
    assert refused.value.__context__ is None, "the library's text names the recipient"


@pytest.mark.parametrize("step", ["connect", "mail"])
async def test_a_broken_connection_may_be_tried_again(mailbox, mailer, step):
    await mailbox.break_at(step, drop=True)
    with pytest.raises(UpstreamUnavailable):
        await mailer.send(compose(letter()))


@pytest.mark.parametrize("step", ["data", "sent"])
async def test_a_letter_that_was_handed_over_without_an_answer_may_have_come(mailbox, mailer, step):
    await mailbox.break_at(step, drop=True)
    with pytest.raises(OutcomeUnknown) as lost:
        await mailer.send(compose(letter()))
    assert "eve@" not in str(lost.value)
    assert len(await mailbox.letters()) == (1 if step == "sent" else 0)


async def test_a_letter_of_ours_that_may_have_come_goes_again_as_a_copy_of_itself(
    database, scope, mailbox, mailer
):
    async with database.session(scope) as session:
        letter_id = await mail.send_letter(session, letter())
        await session.execute("delete from jobs.pgqueuer where entrypoint = 'mail.send'")
    await mailbox.break_at("sent", drop=True)
    with pytest.raises(UpstreamUnavailable):
        await MailJobs(mailer).send(context(database, scope), str(letter_id))
    await MailJobs(mailer).send(context(database, scope), str(letter_id))
    first, second = [dict(one["headers"])["Message-ID"] for one in await mailbox.letters()]
    assert first == second


async def test_a_server_that_is_not_there_may_be_tried_again():
    with pytest.raises(UpstreamUnavailable):
        await SmtpMailer(SmtpServer.parse("smtp://127.0.0.1:9"), FROM, 2).send(compose(letter()))


async def test_name_and_password_are_given_and_a_wrong_one_is_final(mailbox):
    url = mailbox.smtp.replace("//", "//me%40example.test:pass%20word@")
    mailer = SmtpMailer(SmtpServer.parse(url), FROM)
    await mailer.send(compose(letter()))
    assert (await mailbox.letters())[0]["username"] == "me@example.test"
    await mailbox.break_at("auth", code=535)
    with pytest.raises(Conflict):
        await mailer.send(compose(letter()))


async def test_a_certificate_nobody_vouches_for_is_refused(mailbox, tmp_path, monkeypatch):
    await mailbox.offer_tls()
    mailer = SmtpMailer(SmtpServer.parse(f"{mailbox.smtp}?starttls"), FROM)
    with pytest.raises(UpstreamUnavailable):
        await mailer.send(compose(letter()))
    assert await mailbox.letters() == []
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(mailbox.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    await mailer.send(compose(letter()))
    assert (await mailbox.letters())[0]["over_tls"]


async def test_without_starttls_on_offer_nothing_is_sent_in_clear(mailbox):
    mailer = SmtpMailer(SmtpServer.parse(f"{mailbox.smtp}?starttls"), FROM)
    with pytest.raises(UpstreamUnavailable):
        await mailer.send(compose(letter()))
    assert await mailbox.letters() == []


async def test_a_letter_leaves_with_its_transaction_and_the_job_holds_its_id_only(database, scope):
    """SEC-5"""
    async with database.session(scope) as session:
        letter_id = await mail.send_letter(session, letter())
        payload = await session.fetchval("select payload from jobs.pgqueuer order by id desc limit 1")
        sealed = await session.fetchval("select app.read_letter($1)", letter_id)
        await session.execute("delete from jobs.pgqueuer where entrypoint = 'mail.send'")
    assert payload == f'{{"letter_id":"{letter_id}"}}'.encode()
    assert b"eve@" not in sealed and b"reset-password" not in sealed


async def test_a_sent_letter_is_forgotten_and_a_second_run_sends_nothing(database, scope, mailbox, mailer):
    async with database.session(scope) as session:
        letter_id = await mail.send_letter(session, letter())
        await session.execute("delete from jobs.pgqueuer where entrypoint = 'mail.send'")
    jobs = MailJobs(mailer)
    await jobs.send(context(database, scope), str(letter_id))
    await jobs.send(context(database, scope), str(letter_id))
    assert len(await mailbox.letters()) == 1
    async with database.session(scope) as session:
        assert await mail.read_letter(session, letter_id) is None


async def test_a_letter_of_another_workspace_is_not_found(database, scope, other_scope, mailbox, mailer):
    async with database.session(scope) as session:
        letter_id = await mail.send_letter(session, letter())
        await session.execute("delete from jobs.pgqueuer where entrypoint = 'mail.send'")
    for stranger in (other_scope, Scope(PLATFORM_ID)):
        await MailJobs(mailer).send(context(database, stranger), str(letter_id))
    assert await mailbox.letters() == []
    with pytest.raises(Misconfigured):
        await MailJobs(None).send(context(database, scope), str(letter_id))


async def test_a_worker_sends_again_until_the_server_takes_it_and_logs_nobody(home, roles, database, mailbox):
    """A letter that belongs to no workspace; the server refuses it twice, then for good."""
    await mailbox.break_at("rcpt", code=451)
    with working(home, SMTP_URL=mailbox.smtp, MAIL_FROM=FROM) as worker:
        async with database.installation() as session:
            await mail.send_letter(session, letter("twice@example.test"))
        come = await mailbox.letter_to("twice@example.test")
        assert await mailbox.attempts() >= 2
        await mailbox.break_at("rcpt", code=550)
        async with database.installation() as session:
            refused = await mail.send_letter(session, letter("never@example.test"))
        while not (dead := await dead_letters(database)):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    assert message_from_string(come["raw"], policy=default)["to"] == "twice@example.test"
    assert "mail_refused" in dead[0].reason
    for text in (worker.log, str(dead), await job_log(database)):
        assert "@example.test" not in text and "reset-password" not in text
    async with database.installation() as session:
        assert await mail.read_letter(session, refused) is not None, "it can be replayed"


async def dead_letters(database):
    async with database.installation() as session:
        return [job for job in await list_jobs(session, dead=True) if job.name == mail.SEND]


async def job_log(database):
    async with database.installation() as session:
        rows = await session.fetch(
            "select traceback::text from jobs.pgqueuer_log where entrypoint = $1", mail.SEND
        )
    return str([row["traceback"] for row in rows])
