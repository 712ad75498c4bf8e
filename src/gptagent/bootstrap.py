"""The only place that wires adapters to ports and lists jobs, subscribers, routes and schedules."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gptagent.adapters.kommo.port import KommoCrm
from gptagent.adapters.oidc.port import OidcOverEgress
from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer
from gptagent.features.conversations.attaching import service as attaching
from gptagent.features.conversations.attaching.service import AttachmentJobs
from gptagent.features.conversations.events import CustomerWrote, HoldChanged, StageChanged
from gptagent.features.conversations.service import Inbox
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.events import CustomerSaid, DeliveryOpened, LeadMoved, MessageArrived, TalkSeen
from gptagent.features.crm.jobs import CrmJobs
from gptagent.features.crm.limiter import PostgresCallLimiter
from gptagent.features.crm.replying import widget
from gptagent.features.crm.replying.jobs import ReplyJobs
from gptagent.features.dialog import delivery
from gptagent.features.dialog import service as dialog
from gptagent.features.dialog.context import Responder
from gptagent.features.dialog.delivery import DeliveryJobs
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.model import Pace
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.service import Lanes
from gptagent.features.dialog.turn import TurnRunner
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import Links
from gptagent.features.identity.tokens import AccessTokens
from gptagent.features.knowledge import jobs as knowledge_jobs
from gptagent.features.mail import service as mail
from gptagent.features.mail.jobs import MailJobs
from gptagent.features.sign_in.model import OidcClient, platform_provider
from gptagent.features.sign_in.service import SignIn
from gptagent.kernel.crypto import Vault, load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.events import Subscribers
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.installation import check_keys
from gptagent.kernel.jobs import JobClass, JobSpec
from gptagent.kernel.ratelimit import RateLimiter
from gptagent.kernel.settings import Settings

if TYPE_CHECKING:
    from gptagent.kernel.postgres import Roles

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything a web or worker process is made of."""

    settings: Settings
    db: Database
    files: LocalFiles
    vault: Vault
    egress: Egress
    crm: KommoCrm
    inbox: Inbox
    subscribers: Subscribers
    tokens: AccessTokens
    login_limits: LoginLimits
    oidc: OidcClient
    limiter: RateLimiter

    @property
    def sign_in(self) -> SignIn:
        settings, platform = self.settings, None
        if settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret:
            secret = settings.oidc_client_secret.get_secret_value()
            platform = platform_provider(
                settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_name or ""
            )
        return SignIn(self.db, self.oidc, settings.base_url, settings.open_registration, platform)

    @property
    def links(self) -> Links:
        return Links(self.settings.base_url, self.settings.sends_letters)

    async def close(self) -> None:
        await self.limiter.aclose()
        await self.egress.aclose()
        await self.db.close()


async def build_platform(settings: Settings) -> Platform:
    """Connect and wire. Raises Misconfigured if the keys are not those that sealed the stored secrets."""
    if settings.production and settings.plain_backends:
        log.warning("plaintext_backends", settings=settings.plain_backends)
    vault = load_vault(settings)
    db = await Database.connect(app_dsn(settings), vault)
    async with db.installation() as session:
        await check_keys(session, vault)
    egress = Egress(settings.allowed_egress)
    crm = KommoCrm(egress, PostgresCallLimiter(db), sandbox_url=settings.kommo_sandbox_url)
    lanes = Lanes()
    heard_by_dialog = Subscribers(
        in_transaction={
            CustomerWrote: (lanes.on_customer_wrote,),
            HoldChanged: (lanes.on_hold_changed,),
            StageChanged: (lanes.on_stage_changed,),
        }
    )
    inbox = Inbox(lanes, heard_by_dialog)
    heard_of_crm = Subscribers(
        in_transaction={
            DeliveryOpened: (inbox.on_delivery,),
            MessageArrived: (inbox.on_message,),
            CustomerSaid: (inbox.on_said,),
            TalkSeen: (inbox.on_talk,),
            LeadMoved: (inbox.on_lead_moved,),
        }
    )
    redis = settings.redis_url.get_secret_value() if settings.redis_url else None
    limiter = RateLimiter(redis, factor=settings.rate_factor)
    return Platform(
        settings=settings,
        db=db,
        files=LocalFiles(settings.files_path),
        vault=vault,
        egress=egress,
        crm=crm,
        inbox=inbox,
        subscribers=heard_of_crm,
        tokens=AccessTokens(vault),
        login_limits=LoginLimits(limiter),
        oidc=OidcOverEgress(egress),
        limiter=limiter,
    )


def app_dsn(settings: Settings) -> str:
    """Return where the application's role connects: DATABASE_URL, or this home's embedded server."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return _embedded_roles(settings).app_dsn


def owner_dsn(settings: Settings) -> str:
    """Return where the role connects that owns the tables. For commands of operators, never for a server."""
    if settings.database_url is None:
        return _embedded_roles(settings).owner_dsn
    if settings.database_owner_url is None:
        raise Misconfigured(
            "database_owner_missing", "Set DATABASE_OWNER_URL to the role that owns the tables."
        )
    return settings.database_owner_url.get_secret_value()


def _embedded_roles(settings: Settings) -> "Roles":
    from gptagent.kernel.postgres import read_roles

    roles = read_roles(settings.home)
    if roles is None:
        raise Misconfigured(
            "database_not_started",
            "No database runs for this home. Start the platform with `gptagent up`, or set DATABASE_URL.",
        )
    return roles


def build_jobs(platform: Platform) -> tuple[JobSpec, ...]:
    """List every job of the platform."""
    crm_jobs = CrmJobs(platform.crm, platform.vault)
    extractive = ExtractiveResponder()
    responder = _responder(platform, extractive)
    attachment_jobs = AttachmentJobs(platform.crm, platform.vault)
    reply_jobs = ReplyJobs(platform.crm, platform.vault, platform.subscribers)
    runner = TurnRunner(platform.crm, platform.vault, responder, extractive, Pace())
    return (
        JobSpec(dialog.ADVANCE, runner.advance, JobClass.DEFAULT, runner.give_up),
        JobSpec(crm_service.PERFORM_TASK, crm_jobs.perform_task, JobClass.CRITICAL, crm_jobs.give_up_task),
        JobSpec(attaching.FETCH, attachment_jobs.fetch, JobClass.LONG, attachment_jobs.give_up),
        JobSpec(delivery.FOLLOW, DeliveryJobs(platform.crm, platform.vault).follow, JobClass.FAST),
        JobSpec(widget.SAID, reply_jobs.pass_on, JobClass.DEFAULT),
        JobSpec(mail.SEND, MailJobs(_mailer(platform.settings)).send, JobClass.DEFAULT),
        JobSpec("knowledge.ingest", knowledge_jobs.ingest, JobClass.LONG, knowledge_jobs.give_up),
    )


def _mailer(settings: Settings) -> SmtpMailer | None:
    if settings.smtp_url is None:
        return None
    return SmtpMailer(SmtpServer.parse(settings.smtp_url.get_secret_value()), settings.mail_from or "")


def _responder(platform: Platform, extractive: ExtractiveResponder) -> Responder:
    settings = platform.settings
    if settings.llm_model is None:
        return extractive
    from gptagent.adapters.llm.port import OpenAiCompatible

    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    model = OpenAiCompatible(settings.allowed_egress, settings.llm_base_url, key, settings.llm_model)
    return ModelResponder(model)
