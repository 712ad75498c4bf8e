"""The way of a reply to a letter: another letter, by the platform's mail server."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gptagent.features.crm.actions import service as actions
from gptagent.features.crm.letters import answer_subject
from gptagent.features.crm.model import MAIL, CrmLink
from gptagent.features.crm.ports import Still
from gptagent.features.crm.replying.model import Reply, Sighting
from gptagent.features.mail.model import Mailer, Written
from gptagent.features.mail.service import compose_written
from gptagent.features.organizations import service as organizations
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, UpstreamUnavailable
from gptagent.kernel.i18n import translate
from gptagent.kernel.scope import Scope

FOOTER = "This answer was prepared by an AI agent of {company} and sent by a colleague."
NO_SUBJECT = "Your letter"


@dataclass(frozen=True, slots=True)
class MailTransport:
    """At most once: whether a letter whose taking was not confirmed has left, nobody can look up, so a person
    is asked. It has the id of its turn as Message-ID. `mailer` is None where no mail server is set.

    The mailbox the customer wrote to is its Reply-To, so that what comes back is in the CRM again. That
    letter's own Message-ID is told by no interface of the CRM: mail programs find the thread by the subject.
    """

    db: Database
    scope: Scope
    mailer: Mailer | None
    route: Literal["mail"] = "mail"

    async def prepare(self, link: CrmLink, reply: Reply, still: Still) -> datetime | None:
        del link, reply, still
        if self.mailer is None:
            raise _not_set_up()
        return None

    async def begin(self, session: Session, reply: Reply) -> None:
        """A mail server takes any number of letters."""

    async def send(self, link: CrmLink, reply: Reply) -> str | None:
        """Raises as `Mailer.send` does. The record in the CRM gets a note of what was written."""
        if self.mailer is None or reply.letter is None:
            raise _not_set_up()
        async with self.db.session(self.scope) as session:
            company = (await organizations.get_settings(session)).name
            locale = await organizations.get_locale(session)
        subject = answer_subject(reply.letter.subject or translate(locale, NO_SUBJECT))
        letter = Written(
            reply.turn_id,
            reply.letter.address,
            subject,
            reply.text,
            locale,
            company,
            reply_to=reply.letter.mailbox,
            is_markdown=True,
            footer=translate(locale, FOOTER, company=company) if reply.is_prepared else "",
        )
        await self.mailer.send(compose_written(letter))
        if reply.lead_id is not None:
            async with self.db.session(self.scope) as session:
                target = actions.Target(link.connection_id, "leads", reply.lead_id)
                await actions.note_email(session, target, subject, reply.text)
        return f"{MAIL}:{reply.turn_id}"

    async def look(self, link: CrmLink, reply: Reply, since: datetime) -> tuple[Sighting, ...]:
        """Raises UpstreamUnavailable: a letter that has left is shown nowhere."""
        del link, reply, since
        raise UpstreamUnavailable(
            "mail_unconfirmed", "The mail server did not say whether it took the letter."
        )


def _not_set_up() -> Conflict:
    return Conflict(
        "email_not_set_up", "The platform has no mail server. Its operator sets SMTP_URL and MAIL_FROM."
    )
