"""A workspace with an active agent, connected to an account of the emulated CRM."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from gptagent.adapters.kommo.client import Deadlines
from gptagent.adapters.kommo.port import KommoCrm
from gptagent.features.agents import service as agents
from gptagent.features.conversations.events import CustomerWrote, HoldChanged, StageChanged
from gptagent.features.conversations.service import Inbox
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.entities.reports import Reports
from gptagent.features.crm.events import (
    ContactReported,
    CustomerSaid,
    DeliveryOpened,
    LeadMoved,
    LeadReported,
    MessageArrived,
    RobotsWrote,
    TalkSeen,
)
from gptagent.features.dialog.service import Lanes
from gptagent.features.organizations import service as organizations
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.events import Subscribers
from gptagent.kernel.scope import Scope

NOT_FOUND = "I will ask a colleague."
# A fault: what is asked is carried out, but the answer is cut off. So no test needs a deadline so short that
# other calls miss it too where the machine is busy.
UNANSWERED = {"action": "spoil", "body": "truncated"}
# A knob: a web process of a busy machine may stand still longer than the vendor waits for its answer, and
# what it has not taken by then comes again after five minutes.
PATIENT_HOOKS = {"webhook_timeout_ms": 60_000}


class NoLimit:
    """The emulator's rate is switched off for this test, and so is ours."""

    async def wait(self, account_key, address_key, priority):
        """Let every call leave at once."""

    async def block(self, account_key, address_key, seconds):
        """Forget the block."""

    async def report(self, account_key, *, failed):
        """Give up nobody."""


@dataclass
class Account:
    """One account of the emulated CRM."""

    url: str
    subdomain: str
    token: str
    client: httpx2.AsyncClient

    @classmethod
    async def open(cls, url, subdomain, client):
        """Open a fresh account of the emulator, without rate limit and without retries of webhooks."""
        answer = await client.post(f"{url}/_sandbox/accounts", json={"subdomain": subdomain})
        account = cls(url, subdomain, answer.json()["token"], client)
        await account.call("POST", "/knobs", {"requests_per_second": 0, "retries": False})
        return account

    @property
    def host_port(self):
        parts = urlsplit(self.url)
        return parts.hostname, parts.port

    async def new_chat(self):
        return await self.call("POST", "/chats", {"name": "Ann", "origin": "waba"})

    async def sent(self, chat_id):
        """Ids of the messages that our sends have put into the chat."""
        answer = await self.call("GET", f"/chats/{chat_id}/messages")
        return [m["id"] for m in answer["messages"] if m["author"] == "bot"]

    async def break_next(self, path, **fault):
        await self.call("POST", "/faults", {"method": "POST", "path": path, "count": 1, **fault})

    async def call(self, method, path, body=None):
        response = await self.client.request(
            method, f"{self.url}/_sandbox/accounts/{self.subdomain}{path}", json=body
        )
        response.raise_for_status()
        return response.json()


@dataclass
class World:
    """One workspace with an active agent that answers at once, connected to one emulated account."""

    db: Database
    scope: Scope
    account: object
    hook: crm_service.Hook
    vault: Vault
    egress: Egress
    inbox: Inbox
    subscribers: Subscribers

    def crm(self, deadlines=None):
        return KommoCrm(
            self.egress, NoLimit(), sandbox_url=self.account.url, deadlines=deadlines or Deadlines()
        )


async def make_world(db: Database, scope: Scope, account, vault: Vault) -> World:
    egress = Egress(frozenset({account.host_port}))
    lanes = Lanes()
    inbox = Inbox(
        lanes,
        Subscribers(
            in_transaction={
                CustomerWrote: (lanes.on_customer_wrote,),
                HoldChanged: (lanes.on_hold_changed,),
                StageChanged: (lanes.on_stage_changed,),
            }
        ),
    )
    crm = KommoCrm(egress, NoLimit(), sandbox_url=account.url)
    reports = Reports(crm)
    subscribers = Subscribers(
        in_transaction={
            DeliveryOpened: (inbox.on_delivery,),
            MessageArrived: (inbox.on_message,),
            CustomerSaid: (inbox.on_said,),
            TalkSeen: (inbox.on_talk,),
            LeadMoved: (inbox.on_lead_moved,),
            RobotsWrote: (lanes.on_robots_wrote,),
            LeadReported: (reports.on_lead,),
            ContactReported: (reports.on_contact,),
        }
    )
    command = crm_service.ConnectCrm(f"{account.subdomain}.kommo.test", account.token)
    connection = await crm_service.connect_crm(
        db, scope, command, crm=crm, vault=vault, public_url="http://127.0.0.1:9"
    )
    async with db.session(scope) as session:
        await organizations.update_settings(session, {"stop_on_human": True})
        agent = await agents.create_agent(session, "Agent", locale="en")
        changes = {
            "is_active": True,
            "response_delay_seconds": 0,
            "not_found_text": NOT_FOUND,
            "not_found_task": False,
        }
        await agents.update_agent(session, agent.id, changes)
    hook = crm_service.Hook(scope.org_id, connection.id, connection.account_id)
    return World(db, scope, account, hook, vault, egress, inbox, subscribers)
