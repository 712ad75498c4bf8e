"""The job that sends a letter."""

from dataclasses import dataclass
from uuid import UUID

from gptagent.features.mail import service
from gptagent.features.mail.model import Mailer
from gptagent.kernel.errors import Misconfigured, OutcomeUnknown, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext


@dataclass(frozen=True, slots=True)
class MailJobs:
    """`mailer` is None where no SMTP server is set."""

    mailer: Mailer | None

    async def send(self, ctx: JobContext, letter_id: str) -> None:
        """Send the letter once; sent again after a crash it has the same Message-ID.

        A letter that is given up stays until it is too old, so that the job can be replayed.
        """
        async with ctx.db.session(ctx.scope) as session:
            message = await service.read_letter(session, UUID(letter_id))
        if message is None:
            return
        if self.mailer is None:
            raise Misconfigured("smtp_missing", "A letter waits and SMTP_URL is not set.")
        try:
            await self.mailer.send(message)
        except OutcomeUnknown as error:  # servers know a copy by its Message-ID
            raise UpstreamUnavailable("mail_unavailable", error.message) from error
        async with ctx.db.session(ctx.scope) as session:
            await service.forget_letter(session, message.id)
