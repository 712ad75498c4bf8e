"""Kommo and amoCRM as the platform's CRM."""

from gptagent.adapters.kommo.archive import KommoArchive
from gptagent.adapters.kommo.bots import KommoBots
from gptagent.adapters.kommo.changes import KommoChanges
from gptagent.adapters.kommo.chats import KommoChats
from gptagent.adapters.kommo.client import Deadlines, KommoClient
from gptagent.adapters.kommo.entities import KommoEntities
from gptagent.adapters.kommo.files import KommoFiles
from gptagent.adapters.kommo.grants import KommoGrants
from gptagent.adapters.kommo.hooks import KommoHooks
from gptagent.adapters.kommo.log import KommoLog
from gptagent.adapters.kommo.records import KommoRecords
from gptagent.adapters.kommo.settings import KommoSettings
from gptagent.adapters.kommo.tasks import KommoTasks
from gptagent.features.crm.ports import CallLimiter, TokenSource
from gptagent.kernel.egress import Egress, Ways

DEADLINES = Deadlines()


class KommoCrm(
    KommoGrants,
    KommoRecords,
    KommoSettings,
    KommoEntities,
    KommoArchive,
    KommoTasks,
    KommoChanges,
    KommoChats,
    KommoHooks,
    KommoLog,
    KommoBots,
    KommoFiles,
):
    """Implements `CrmPort`. `sandbox_url` lets accounts under `*.kommo.test` in and answers for them.

    `ways` are the addresses its calls leave from. `tokens` renews those that are refused.

    Replies and what people wait for go before reads, those before
    the copying of the account.
    """

    def __init__(
        self,
        egress: Egress,
        limiter: CallLimiter,
        *,
        sandbox_url: str | None = None,
        ways: Ways | None = None,
        deadlines: Deadlines = DEADLINES,
        tokens: TokenSource | None = None,
    ) -> None:
        self._client = KommoClient(
            ways or Ways(egress, {}),
            limiter,
            sandbox_url=sandbox_url,
            deadlines=deadlines,
            tokens=tokens,
        )
