"""Looking for what no webhook told: messages and moved deals by the CRM's own log.

What is found goes the way of a webhook; what came by one after all is a copy there and changes nothing.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from asyncpg import Record

from gptagent.features.crm.deliveries import store
from gptagent.features.crm.deliveries.model import Seen
from gptagent.features.crm.deliveries.processing import letter_key, message_key
from gptagent.features.crm.deliveries.service import receive_webhook
from gptagent.features.crm.events import RobotsWrote
from gptagent.features.crm.model import CrmLink, Hook, LeadChanged, RobotMessage, brand_of
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import store as replies
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError
from gptagent.kernel.events import Subscribers
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

# A webhook needs a moment, and the CRM's clock may go behind ours.
SETTLE = timedelta(seconds=5)
OVERLAP = timedelta(seconds=60)
LOOK_BACK = timedelta(hours=24)
# Without its text a customer's message is worth little: the CRM tries a webhook again after 5 minutes.
UNREADABLE_AFTER = timedelta(minutes=6)
GONE_AFTER = timedelta(minutes=15)
TALKS_AT_ONCE = 5
LETTERS_AT_ONCE = 50
SHRINKS = 3
SHRINK = 8

PAUSE = timedelta(seconds=60)
PAUSE_TAKEOVER = timedelta(
    seconds=40
)  # amoCRM tells of people's messages nowhere else; within a minute is promised
PAUSE_AWAITED = timedelta(seconds=3)  # while replies by bots are on their way: nothing else tells of them
PAUSE_FOUND = timedelta(seconds=15)
PAUSE_MAX = timedelta(minutes=10)
PAUSE_FAILED = timedelta(minutes=3)
ACTIVE = timedelta(minutes=30)
IDLE_SHARE = 10  # who has been quiet for an hour is looked at every six minutes


@dataclass
class Findings:
    """What one look brought. `open_from`: the earliest that is still missing."""

    messages: int = 0
    takeovers: int = 0
    leads: int = 0
    open_from: datetime | None = None
    until: datetime | None = None
    is_complete: bool = True
    told: list[Mapping[str, object]] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.messages or self.takeovers or self.leads)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """One connection's look. `settle` is how long a webhook may take.

    `sender` is the address of our own letters: what a mailbox of the CRM finds of them is nothing new.
    """

    db: Database
    scope: Scope
    crm: CrmPort
    subscribers: Subscribers
    settle: timedelta = SETTLE
    sender: str = ""

    async def look(self, link: CrmLink, row: Record) -> timedelta:
        """Find and tell what is missing; return when to look again. Raises as CrmPort says."""
        now = utcnow()
        since = max(row["polled_to"] - OVERLAP, now - LOOK_BACK)
        listed, listed_to, is_all = await self._list(link, since, now)
        await self._robots(link, listed)
        until = min(listed_to, now - self.settle)
        seen = [one for one in listed if one.happened_at <= until]
        findings = Findings(until=until, is_complete=is_all)
        await self._messages(link, seen, findings, now=now)
        await self._moved(link, seen, findings)
        if row["reads_letters"]:
            await self._letters(link, since, now, findings)
        if brand_of(link.host) == "kommo":  # amoCRM filters lists for those who pay for it
            await self._changed(link, row["polled_to"] - self.settle, findings)
        for kind, count in (
            ("message", findings.messages),
            ("takeover", findings.takeovers),
            ("lead", findings.leads),
        ):
            observe.RECONCILED.labels(kind).inc(count)
        if findings.any:
            log.info(
                "webhooks_missed",
                connection_id=str(link.connection_id),
                messages=findings.messages,
                takeovers=findings.takeovers,
                leads=findings.leads,
            )
        pause = _pause(row, findings, now)
        polled_to = min(filter(None, (findings.open_from, until)))
        async with self.db.session(self.scope) as session:
            found_at = now if findings.any else None
            if brand_of(link.host) == "amocrm" and await replies.has_claims(session, link.connection_id):
                pause = min(pause, PAUSE_AWAITED)
            await store.update_poll(session, link.connection_id, polled_to, pause, found_at)
        return pause

    async def _list(
        self, link: CrmLink, since: datetime, until: datetime
    ) -> tuple[tuple[Seen, ...], datetime, bool]:
        """Return what happened, up to when, and if that is all: after a long silence it is read in parts."""
        whole = until
        for _ in range(SHRINKS):
            seen, is_all = await self.crm.list_seen(link, since, until)
            if is_all:
                break
            until = since + (until - since) / SHRINK
        return seen, until, until == whole

    async def _robots(self, link: CrmLink, listed: Sequence[Seen]) -> None:
        """Tell what robots have sent where no webhook does: one listing settles the replies of all deals."""
        if brand_of(link.host) != "amocrm":
            return
        told = tuple(
            RobotMessage(one.message_id, one.record.id, one.happened_at)
            for one in listed
            if one.kind == "outgoing" and not one.by_user_id and one.record and one.record.kind == "lead"
        )
        if not told:
            return
        async with self.db.session(self.scope) as session:
            if await store.hold_connection(session, link.connection_id) is not None:
                await self.subscribers.publish(session, RobotsWrote(link.connection_id, told))

    async def _messages(
        self, link: CrmLink, seen: Sequence[Seen], findings: Findings, *, now: datetime
    ) -> None:
        # What a robot wrote, ourselves included, is nothing to be told as a message.
        said = [one for one in seen if one.kind == "incoming" or (one.kind == "outgoing" and one.by_user_id)]
        missing = await self._unknown(link, said)
        talks: dict[int, list[Seen]] = {}
        for one in missing:
            if one.talk_id is None or not one.message_id:
                continue
            if _may_still_come(link, one, now):
                findings.open_from = min(findings.open_from or one.happened_at, one.happened_at)
            else:
                talks.setdefault(one.talk_id, []).append(one)
        for number, (talk_id, messages) in enumerate(talks.items()):
            first = messages[0].happened_at
            told = await self._tell_talk(link, talk_id, messages) if number < TALKS_AT_ONCE else 0
            if told < len(messages) and (number >= TALKS_AT_ONCE or now - first < GONE_AFTER):
                findings.open_from = min(findings.open_from or first, first)
            if told:
                findings.messages += sum(one.kind == "incoming" for one in messages)
                findings.takeovers += sum(one.kind == "outgoing" for one in messages)

    async def _unknown(self, link: CrmLink, said: Sequence[Seen]) -> list[Seen]:
        keys = {one.message_id: message_key(one.message_id) for one in said}
        async with self.db.session(self.scope) as session:
            known = await store.known_keys(session, link.connection_id, list(keys.values()))
        return [one for one in said if keys[one.message_id] not in known]

    async def _tell_talk(self, link: CrmLink, talk_id: int, messages: Sequence[Seen]) -> int:
        """Return how many of the messages were told; a talk that is gone has none."""
        try:
            tree = await self.crm.fetch_missed(link, talk_id, messages)
        except AppError as error:
            if error.retryable or error.status == 403:
                raise
            log.info("talk_not_read", error=error.code, talk_id=talk_id)
            return 0
        if tree:
            await self._receive(link, tree)
        return sum(len(_elements(tree, kind)) for kind in ("message", "outgoing_message"))

    async def _letters(self, link: CrmLink, since: datetime, now: datetime, findings: Findings) -> None:
        """Tell of letters: nothing else does. A letter that lies at several records is told once."""
        try:
            listed = await self.crm.list_letters(link, since, now)
            keys = {one: letter_key(one.note_id) for one in listed}
            async with self.db.session(self.scope) as session:
                known = await store.known_keys(session, link.connection_id, list(keys.values()))
            unread = [one for one in listed if keys[one] not in known]
            read = unread[:LETTERS_AT_ONCE]
            told: dict[object, dict[str, object]] = {}
            for one in read:
                for element in _elements(await self.crm.fetch_letter(link, one), "letter"):
                    told[element["message_id"]] = element | told.get(element["message_id"], {})
            for letter in told.values():
                await self._tell_letter(link, letter)
            async with self.db.session(self.scope) as session:
                await store.remember(session, link.connection_id, [keys[one] for one in read])
        except AppError as error:  # an account that tells nobody of them still tells of messages
            if error.retryable or error.code == "crm_unauthorized":
                raise
            log.info("letters_not_read", error=error.code, connection_id=str(link.connection_id))
            return
        if rest := unread[LETTERS_AT_ONCE:]:
            findings.open_from = min(filter(None, (findings.open_from, rest[0].happened_at)))

    async def _tell_letter(self, link: CrmLink, letter: Mapping[str, object]) -> None:
        if self.sender and _address(letter.get("from")) == self.sender.lower():
            return
        named = {name: _number(letter.get(name)) for name in ("lead_id", "contact_id")}
        async with self.db.session(self.scope) as session:
            place = await store.place_of_letter(session, link.connection_id, **named)
        known = {name: number for name, number in place.items() if number is not None}
        await self._receive(link, {"letter": {"add": [{**letter, **known}]}})

    async def _moved(self, link: CrmLink, seen: Sequence[Seen], findings: Findings) -> None:
        """Tell of deals that stand on another stage than we believe."""
        last = {one.record.id: one for one in seen if one.kind == "moved" and one.record is not None}
        async with self.db.session(self.scope) as session:
            known = await store.stages_of(session, link.connection_id, list(last))
        missing = [one for number, one in last.items() if _is_news(one, known.get(number))]
        if missing:
            await self._receive(link, self.crm.tell_moved(missing))
            findings.leads += len(missing)

    async def _changed(self, link: CrmLink, since: datetime, findings: Findings) -> None:
        """Tell of changes of deals we keep a copy of."""
        tree = await self.crm.fetch_changed_leads(link, since)
        changes = [one for one in self.crm.read_stored(tree).events if isinstance(one, LeadChanged)]
        async with self.db.session(self.scope) as session:
            known = await store.stages_of(session, link.connection_id, [one.lead_id for one in changes])
        elements = _elements(tree, "leads", "update")
        missing = [
            element
            for element, one in zip(elements, changes, strict=True)
            if one.lead_id in known and _is_later(one.changed_at, known[one.lead_id][2])
        ]
        if missing:
            await self._receive(link, {"leads": {"update": missing}})
            findings.leads += len(missing)

    async def _receive(self, link: CrmLink, tree: Mapping[str, object]) -> None:
        hook = Hook(self.scope.org_id, link.connection_id, link.account_id or 0)
        webhook = self.crm.read_stored(tree)
        async with self.db.session(self.scope) as session:
            await receive_webhook(
                session, hook, webhook, self.subscribers, now=utcnow(), crm=self.crm, source="poll"
            )


def _elements(tree: Mapping[str, object], kind: str, action: str = "add") -> list[Any]:
    actions = tree.get(kind)
    elements = actions.get(action) if isinstance(actions, dict) else None
    return elements if isinstance(elements, list) else []


def _address(value: object) -> str:
    return str(value.get("email", "")).strip().lower() if isinstance(value, dict) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _may_still_come(link: CrmLink, one: Seen, now: datetime) -> bool:
    """AmoCRM shows the text nowhere but in its webhook, which it tries again after 5 minutes."""
    is_mute = brand_of(link.host) == "amocrm" and one.kind == "incoming"
    return is_mute and now - one.happened_at < UNREADABLE_AFTER


def _is_news(one: Seen, known: tuple[int | None, int | None, datetime | None] | None) -> bool:
    if known is None:
        return True
    pipeline_id, stage_id, told_at = known
    return (pipeline_id, stage_id) != (one.pipeline_id, one.stage_id) and (
        told_at is None or told_at <= one.happened_at
    )


def _is_later(changed_at: datetime | None, told_at: datetime | None) -> bool:
    return changed_at is not None and (told_at is None or changed_at > told_at)


def _pause(row: Record, findings: Findings, now: datetime) -> timedelta:
    """Look often where something was missing or is going on, seldom where nothing is."""
    if findings.any or not findings.is_complete:
        return PAUSE_FOUND
    idle: timedelta = now - row["active_at"]
    if idle < ACTIVE:
        pause = PAUSE_TAKEOVER if brand_of(row["host"]) == "amocrm" else PAUSE
    elif row["hook_state"] == "refused":
        pause = PAUSE
    else:
        pause = min(idle / IDLE_SHARE, PAUSE_MAX)
    return pause * random.uniform(0.9, 1.1)  # noqa: S311 - spreads the calls, no secret
