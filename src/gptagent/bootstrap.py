"""The only place that wires adapters to ports and lists jobs, subscribers, routes and schedules."""

from dataclasses import dataclass
from email.utils import parseaddr
from functools import partial
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from gptagent.adapters.embeddings.port import OpenAiEmbeddings
from gptagent.adapters.kommo.port import KommoCrm
from gptagent.adapters.oidc.port import OidcOverEgress
from gptagent.adapters.reranking.port import HttpReranker
from gptagent.adapters.smtp.port import SmtpMailer, SmtpServer
from gptagent.adapters.speech.port import OpenAiSpeech
from gptagent.adapters.tesseract.port import Tesseract
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.conversations.attaching import service as attaching
from gptagent.features.conversations.attaching.service import AttachmentJobs
from gptagent.features.conversations.events import CustomerWrote, FileKept, HoldChanged, StageChanged
from gptagent.features.conversations.memory import service as memory
from gptagent.features.conversations.memory.jobs import MemoryJobs
from gptagent.features.conversations.service import Inbox
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.actions import service as crm_actions
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.connecting import service as connecting
from gptagent.features.crm.connecting.jobs import ConnectingJobs
from gptagent.features.crm.connecting.model import CALLBACK, Credentials
from gptagent.features.crm.connecting.service import Connecting, Keys, TokenRenewal
from gptagent.features.crm.deliveries import jobs as delivery_jobs
from gptagent.features.crm.deliveries.jobs import DeliveryJobs
from gptagent.features.crm.entities.reports import Reports
from gptagent.features.crm.entities.service import welcome_back
from gptagent.features.crm.events import (
    AccountConnected,
    ContactReported,
    CustomerSaid,
    DeliveryOpened,
    LeadMoved,
    LeadReported,
    MessageArrived,
    RobotsWrote,
    TalkSeen,
)
from gptagent.features.crm.jobs import CrmJobs
from gptagent.features.crm.limiter import PostgresCallLimiter
from gptagent.features.crm.mirror.service import note_channel
from gptagent.features.crm.model import Brand
from gptagent.features.crm.replying import widget
from gptagent.features.crm.replying.jobs import ReplyJobs
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.features.dialog import delivery
from gptagent.features.dialog import service as dialog
from gptagent.features.dialog.acting import service as acting
from gptagent.features.dialog.acting.jobs import ActingJobs
from gptagent.features.dialog.context import Responder
from gptagent.features.dialog.delivery import DeliveryJobs as ReplyDeliveryJobs
from gptagent.features.dialog.enclosures import service as enclosures
from gptagent.features.dialog.enclosures.jobs import EnclosureJobs
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.hearing import jobs as hearing
from gptagent.features.dialog.model import Pace
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.jobs import OutgoingJobs
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.proposing import service as proposing
from gptagent.features.dialog.proposing.jobs import ProposingJobs
from gptagent.features.dialog.scenario_runs import service as scenario_runs
from gptagent.features.dialog.scenario_runs.answering import Answering
from gptagent.features.dialog.scenario_runs.jobs import ScenarioJobs
from gptagent.features.dialog.scenario_runs.publishing import only_if_passed
from gptagent.features.dialog.service import Lanes
from gptagent.features.dialog.suggesting import service as suggesting
from gptagent.features.dialog.suggesting.jobs import SuggestionJobs
from gptagent.features.dialog.trying import service as trying
from gptagent.features.dialog.trying.jobs import RehearsalJobs
from gptagent.features.dialog.turn import TurnRunner
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import Links
from gptagent.features.identity.tokens import AccessTokens
from gptagent.features.inference.breaker import PostgresBreaker
from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.jobs import BudgetJobs
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.inference.model import Embedder, EmbeddingModel, LanguageModel, SpeechModel
from gptagent.features.inference.prices import load_prices
from gptagent.features.knowledge import jobs as knowledge_jobs
from gptagent.features.knowledge.checks import jobs as check_jobs
from gptagent.features.knowledge.checks import service as checks
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.extraction.service import EXTRACT_JOB
from gptagent.features.knowledge.gaps import jobs as gap_jobs
from gptagent.features.knowledge.gaps import service as gaps
from gptagent.features.knowledge.naming import jobs as naming_jobs
from gptagent.features.knowledge.naming import service as naming
from gptagent.features.knowledge.ports import Reranker, RerankingModel
from gptagent.features.knowledge.questions import jobs as question_jobs
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.questions.ways import Ways as SearchWays
from gptagent.features.knowledge.reranking import service as reranking
from gptagent.features.knowledge.reranking.jobs import RerankingJobs
from gptagent.features.knowledge.service import Reranking, Understanding
from gptagent.features.knowledge.sites import service as sites
from gptagent.features.knowledge.sites.jobs import SiteJobs
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.jobs import VectorJobs
from gptagent.features.mail import service as mail
from gptagent.features.mail.jobs import MailJobs
from gptagent.features.sign_in.model import OidcClient, platform_provider
from gptagent.features.sign_in.service import SignIn
from gptagent.kernel.crypto import Vault, load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress, Ways
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
    reading: Egress  # what everybody may read, over http too
    ways: Ways
    crm: KommoCrm
    renewal: TokenRenewal
    inbox: Inbox
    subscribers: Subscribers
    tokens: AccessTokens
    login_limits: LoginLimits
    oidc: OidcClient
    limiter: RateLimiter
    embedder: Embedder | None
    understanding: Understanding
    reranking: Reranking

    @property
    def publish_condition(self) -> PublishCondition:
        """What may hold back the publishing of an agent's settings."""
        return only_if_passed

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
    def connecting(self) -> Connecting:
        return Connecting(
            self.db,
            self.crm,
            self.vault,
            self.settings.base_url,
            self.subscribers,
            shared_integrations(self.settings),
        )

    @property
    def links(self) -> Links:
        return Links(self.settings.base_url, self.settings.sends_letters)

    async def close(self) -> None:
        await self.limiter.aclose()
        await self.ways.aclose()
        await self.reading.aclose()
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
    ways = Ways(
        egress, {proxy.name: Egress(settings.allowed_egress, proxy=proxy) for proxy in settings.proxies}
    )
    calls, sandbox = PostgresCallLimiter(db), settings.kommo_sandbox_url
    # The renewal's own calls renew nothing.
    asking = KommoCrm(egress, calls, sandbox_url=sandbox, ways=ways)
    keys = Keys(vault, shared_integrations(settings))
    renewal = TokenRenewal(db, asking, vault, keys, settings.base_url + CALLBACK)
    crm = KommoCrm(egress, calls, sandbox_url=sandbox, ways=ways, tokens=renewal)
    lanes = Lanes()
    heard_by_dialog = Subscribers(
        in_transaction={
            CustomerWrote: (lanes.on_customer_wrote,),
            HoldChanged: (lanes.on_hold_changed,),
            StageChanged: (lanes.on_stage_changed,),
        }
    )
    inbox = Inbox(lanes, heard_by_dialog)
    reports = Reports(crm)
    heard_of_crm = Subscribers(
        in_transaction={
            DeliveryOpened: (inbox.on_delivery,),
            CustomerSaid: (inbox.on_said,),
            MessageArrived: (inbox.on_message, note_channel, welcome_back),
            AccountConnected: (syncing.on_connected,),
            TalkSeen: (inbox.on_talk,),
            LeadMoved: (inbox.on_lead_moved,),
            RobotsWrote: (lanes.on_robots_wrote,),
            LeadReported: (reports.on_lead,),
            ContactReported: (reports.on_contact,),
        },
        outbox={AccountConnected: (dialog.RESUME,)},
    )
    redis = settings.redis_url.get_secret_value() if settings.redis_url else None
    limiter = RateLimiter(redis, factor=settings.rate_factor)
    embedder = build_embedder(settings, egress)
    return Platform(
        settings=settings,
        db=db,
        files=LocalFiles(settings.files_path),
        vault=vault,
        egress=egress,
        reading=Egress(settings.readable_egress, plain=True),
        ways=ways,
        crm=crm,
        renewal=renewal,
        inbox=inbox,
        subscribers=heard_of_crm,
        tokens=AccessTokens(vault),
        login_limits=LoginLimits(limiter),
        oidc=OidcOverEgress(egress),
        limiter=limiter,
        embedder=embedder,
        understanding=Understanding(embedder),
        reranking=Reranking(build_reranker(settings, egress)),
    )


def shared_integrations(settings: Settings) -> dict[Brand, Credentials]:
    """Return the integrations that every workspace may use, by brand."""
    given: tuple[tuple[Brand, str | None, SecretStr | None], ...] = (
        ("kommo", settings.kommo_client_id, settings.kommo_client_secret),
        ("amocrm", settings.amocrm_client_id, settings.amocrm_client_secret),
    )
    return {
        brand: Credentials(brand, client_id, secret.get_secret_value())
        for brand, client_id, secret in given
        if client_id and secret
    }


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
    mailer = _mailer(platform.settings)
    action_jobs = ActionJobs(platform.crm, platform.vault, mailer)
    sync_jobs = SyncJobs(platform.crm, platform.vault)
    extractive = ExtractiveResponder()
    model = _model(platform)
    responder: Responder = extractive if model is None else ModelResponder(model)
    memory_jobs = MemoryJobs(model)
    graph_jobs = GraphJobs(model)
    proposing_jobs = ProposingJobs(model)
    acting_jobs = ActingJobs(model, platform.settings.sends_letters)
    kept = Subscribers(outbox={FileKept: (hearing.HEAR,)})
    attachment_jobs = AttachmentJobs(platform.crm, platform.vault, kept)
    hearing_jobs = hearing.HearingJobs(_speech(platform), _vision(platform))
    scenario_jobs = build_scenario_jobs(platform)
    reply_jobs = ReplyJobs(platform.crm, platform.vault, platform.subscribers)
    rehearsing = RehearsalJobs(Generation(responder, extractive, platform.understanding, platform.reranking))
    runner = TurnRunner(
        platform.crm,
        platform.vault,
        responder,
        extractive,
        Pace(),
        platform.understanding,
        platform.reranking,
        mailer,
    )
    deliveries = DeliveryJobs(
        platform.crm,
        platform.vault,
        platform.subscribers,
        platform.settings.base_url,
        sender=parseaddr(platform.settings.mail_from or "")[1],
    )
    connecting_jobs = ConnectingJobs(platform.renewal, platform.links)
    site_jobs = SiteJobs(platform.reading)
    vector_jobs = VectorJobs(platform.embedder)
    runs = question_jobs.QuestionJobs(search_ways(platform))
    reranking_jobs = RerankingJobs(platform.reranking.reranker, platform.understanding)
    enclosing = EnclosureJobs(platform.crm, platform.vault, Pace())
    generation = Generation(responder, extractive, platform.understanding, platform.reranking)
    suggestions = SuggestionJobs(generation)
    sending = OutgoingJobs(platform.crm, platform.vault, Pace(), mailer)
    ingest = partial(knowledge_jobs.ingest, recogniser=Tesseract())
    return (
        JobSpec(dialog.ADVANCE, runner.advance, JobClass.DEFAULT, runner.give_up),
        JobSpec(trying.REHEARSE, rehearsing.rehearse, JobClass.DEFAULT, rehearsing.give_up),
        JobSpec(syncing.RUN, sync_jobs.run, JobClass.LONG, sync_jobs.give_up),
        JobSpec(acting.ACT, acting_jobs.act, JobClass.DEFAULT, acting_jobs.give_up),
        JobSpec(dialog.RESUME, dialog.resume_lanes, JobClass.DEFAULT),
        JobSpec(connecting.RENEW, connecting_jobs.renew_token, JobClass.DEFAULT),
        JobSpec(connecting.TELL_BROKEN, connecting_jobs.tell_broken, JobClass.DEFAULT),
        JobSpec(crm_service.PERFORM_TASK, crm_jobs.perform_task, JobClass.CRITICAL, crm_jobs.give_up_task),
        JobSpec(crm_actions.PERFORM, action_jobs.perform, JobClass.DEFAULT, action_jobs.give_up),
        JobSpec(attaching.FETCH, attachment_jobs.fetch, JobClass.LONG, attachment_jobs.give_up),
        JobSpec(hearing.HEAR, hearing_jobs.hear, JobClass.DEFAULT, hearing_jobs.give_up),
        JobSpec(memory.READ, memory_jobs.read, JobClass.DEFAULT, memory_jobs.give_up),
        JobSpec(delivery.FOLLOW, ReplyDeliveryJobs(platform.crm, platform.vault).follow, JobClass.FAST),
        JobSpec(enclosures.SEND, enclosing.send, JobClass.LONG, enclosing.give_up),
        JobSpec(suggesting.SUGGEST, suggestions.suggest, JobClass.LONG, suggestions.give_up),
        JobSpec(outgoing.SEND, sending.send, JobClass.DEFAULT, sending.give_up),
        JobSpec(widget.SAID, reply_jobs.pass_on, JobClass.DEFAULT),
        JobSpec(delivery_jobs.PROCESS, deliveries.process, JobClass.DEFAULT, deliveries.bury),
        JobSpec(delivery_jobs.CHECK, deliveries.check, JobClass.FAST),
        JobSpec(delivery_jobs.RECONCILE, deliveries.reconcile, JobClass.DEFAULT),
        JobSpec(mail.SEND, MailJobs(mailer).send, JobClass.DEFAULT),
        JobSpec(sites.CRAWL, site_jobs.crawl, JobClass.LONG, site_jobs.give_up),
        JobSpec("knowledge.ingest", ingest, JobClass.LONG, knowledge_jobs.give_up),
        JobSpec(questions.MEASURE_JOB, runs.measure, JobClass.LONG, question_jobs.give_up),
        JobSpec(gaps.CHECK_JOB, gap_jobs.check_gaps, JobClass.DEFAULT),
        JobSpec(proposing.PROPOSE, proposing_jobs.propose, JobClass.LONG, proposing_jobs.give_up),
        JobSpec(scenario_runs.RUN, scenario_jobs.run, JobClass.LONG, scenario_jobs.give_up),
        JobSpec(checks.SCAN, check_jobs.scan, JobClass.LONG, check_jobs.give_up),
        JobSpec(EXTRACT_JOB, graph_jobs.extract, JobClass.LONG, graph_jobs.give_up),
        JobSpec(naming.MEASURE_JOB, naming_jobs.measure, JobClass.LONG, naming_jobs.give_up),
        JobSpec(budgets.TELL, BudgetJobs(platform.links).tell, JobClass.DEFAULT),
        JobSpec(vectors.EMBED_JOB, vector_jobs.embed, JobClass.LONG, vector_jobs.give_up),
        JobSpec(reranking.MEASURE_JOB, reranking_jobs.measure, JobClass.LONG, reranking_jobs.give_up),
    )


def build_scenario_jobs(platform: Platform) -> ScenarioJobs:
    """Return what plays scenarios and answers real turns anew."""
    extractive, model = ExtractiveResponder(), _model(platform)
    responder: Responder = extractive if model is None else ModelResponder(model)
    generation = Generation(responder, extractive, platform.understanding, platform.reranking)
    return ScenarioJobs(Answering(generation), model)


def _mailer(settings: Settings) -> SmtpMailer | None:
    if settings.smtp_url is None:
        return None
    return SmtpMailer(SmtpServer.parse(settings.smtp_url.get_secret_value()), settings.mail_from or "")


def _model(platform: Platform) -> LanguageModel | None:
    settings = platform.settings
    if settings.llm_model is None:
        return None
    from gptagent.adapters.llm.port import OpenAiCompatible

    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    prices = load_prices(settings.llm_base_url, settings.llm_prices_file)
    endpoint = OpenAiCompatible(
        settings.allowed_egress,
        settings.llm_base_url,
        key,
        settings.llm_model,
        fallback_model=settings.llm_fallback_model,
        breaker=PostgresBreaker(platform.db, settings.llm_base_url),
        prices=prices,
    )
    names = tuple(name for name in (settings.llm_model, settings.llm_fallback_model) if name)
    return GuardedModel(platform.db, endpoint, prices, names)


def build_speech(settings: Settings, egress: Egress, db: Database | None = None) -> SpeechModel | None:
    """Return what writes voice messages down; None if no model is set. Without a database nothing remembers
    that it has failed.
    """
    if settings.speech_model is None:
        return None
    key = settings.speech_api_key.get_secret_value() if settings.speech_api_key else ""
    prices = load_prices(settings.speech_base_url, settings.llm_prices_file)
    return OpenAiSpeech(
        egress,
        settings.speech_base_url,
        settings.speech_model,
        key,
        prices=prices,
        fallback_model=settings.speech_fallback_model,
        breaker=PostgresBreaker(db, settings.speech_base_url) if db else None,
    )


def build_eye(settings: Settings, db: Database | None = None) -> LanguageModel | None:
    """Return what looks at pictures, at an address of its own or at that of the language model; None if no
    model is set. Without a database nothing remembers that it has failed.
    """
    if settings.vision_model is None:
        return None
    from gptagent.adapters.llm.port import OpenAiCompatible

    url = vision_url(settings)
    key = settings.vision_api_key or (None if settings.vision_base_url else settings.llm_api_key)
    return OpenAiCompatible(
        settings.allowed_egress,
        url,
        key.get_secret_value() if key else "",
        settings.vision_model,
        fallback_model=settings.vision_fallback_model,
        breaker=PostgresBreaker(db, url) if db else None,
        prices=load_prices(url, settings.llm_prices_file),
    )


def vision_url(settings: Settings) -> str:
    return settings.vision_base_url or settings.llm_base_url


def _speech(platform: Platform) -> SpeechModel | None:
    settings = platform.settings
    return build_speech(settings, platform.egress, platform.db) if settings.speech_model else None


def _vision(platform: Platform) -> LanguageModel | None:
    """Return the eye under the budgets of the workspaces."""
    settings = platform.settings
    eye = build_eye(settings, platform.db) if settings.vision_model else None
    if eye is None:
        return None
    prices = load_prices(vision_url(settings), settings.llm_prices_file)
    names = tuple(name for name in (settings.vision_model, settings.vision_fallback_model) if name)
    return GuardedModel(platform.db, eye, prices, names)


def search_ways(platform: Platform) -> SearchWays:
    """Return by what a turn searches."""
    return SearchWays(platform.understanding, platform.reranking)


def build_embedder(settings: Settings, egress: Egress) -> Embedder | None:
    """Return what makes vectors of texts; None if no model is set."""
    if settings.embedding_model is None:
        return None
    key = settings.embedding_api_key.get_secret_value() if settings.embedding_api_key else ""
    model = EmbeddingModel(
        settings.embedding_base_url, settings.embedding_model, settings.embedding_dimensions
    )
    prices = load_prices(settings.embedding_base_url, settings.llm_prices_file)
    return OpenAiEmbeddings(egress, model, key, prices=prices)


def build_reranker(settings: Settings, egress: Egress) -> Reranker | None:
    """Return what puts passages in order; None if no model is set."""
    if settings.reranker_model is None:
        return None
    key = settings.reranker_api_key.get_secret_value() if settings.reranker_api_key else ""
    model = RerankingModel(settings.reranker_base_url, settings.reranker_model)
    prices = load_prices(settings.reranker_base_url, settings.llm_prices_file)
    return HttpReranker(egress, model, key, prices)
