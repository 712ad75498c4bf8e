"""Several addresses to leave from, and which of them is whose."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gptagent.kernel.egress.client import Egress

DIRECT = "default"


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways out by name. Without any other, everybody leaves directly."""

    direct: Egress
    proxied: Mapping[str, Egress]

    def of(self, account: str) -> tuple[str, Egress]:
        """Return the way an account always takes, and its name.

        Rendezvous hashing: it is the same in every process and after each start, and if a way is added or
        taken away only that way's accounts move.
        """
        if not self.proxied:
            return DIRECT, self.direct
        name = max(self.proxied, key=lambda name: hashlib.sha256(f"{name}|{account}".encode()).digest())
        return name, self.proxied[name]

    async def aclose(self) -> None:
        for egress in (self.direct, *self.proxied.values()):
            await egress.aclose()
