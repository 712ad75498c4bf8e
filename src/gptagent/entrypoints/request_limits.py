"""How many requests anybody may make: by credential, by workspace, by address, by webhook address."""

import hashlib
from dataclasses import dataclass

from limits import parse
from starlette.requests import Request

from gptagent.kernel.http import Access, client_address
from gptagent.kernel.ratelimit import Allowance, RateLimiter

PER_CREDENTIAL = parse("100/10 second")
PER_ADDRESS = parse("20/10 second")  # of requests without a credential that is accepted
# By plan: all requests of a workspace, its uploads. Until plans are sold every workspace has the largest.
PLANS = {
    "free": (parse("50/minute"), parse("5/hour")),
    "premium": (parse("200/minute"), parse("50/hour")),
    "vip": (parse("1000/minute"), parse("200/hour")),
}
PLAN = "vip"
# Far above what a CRM sends for one connection; counted in each process, for it may cost microseconds only.
PER_HOOK = parse("5000/10 second")

API = "/api/"
DOCS = "/api/docs"
HOOKS = "/hooks/"
CONSENTS = "/oauth/"  # where the CRM sends people and its own programs
UPLOAD_PATHS = ("/documents", "/files")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Each check counts the request and raises RateLimited; what is left goes onto the request's state."""

    limiter: RateLimiter

    async def check_stranger(self, request: Request) -> None:
        """Count a request that no accepted credential came with, to the API or from a CRM, by its address."""
        if request.url.path.startswith((API, CONSENTS)) and not request.url.path.startswith(DOCS):
            self._keep(request, await self.limiter.hit(PER_ADDRESS, "address", client_address(request)))

    async def check_hook(self, request: Request) -> None:
        """Count a webhook by the connection's address, which is a secret and only its hash is kept."""
        if request.url.path.startswith(HOOKS):
            place = hashlib.sha256(request.url.path.rstrip("/").encode()).hexdigest()
            self.limiter.hit_here(PER_HOOK, "hook", place).check()

    async def check_access(self, request: Request, access: Access) -> None:
        """Count a request to the API by its credential and workspace, and an upload wherever it goes."""
        if request.url.path.startswith(API):
            actor = access.scope.actor
            await self._all(
                request,
                await self.limiter.hit(PER_CREDENTIAL, "credential", f"{actor.kind}:{actor.id}"),
                await self.limiter.hit(PLANS[PLAN][0], "workspace", access.scope.key()),
            )
        if request.method == "POST" and request.url.path.endswith(UPLOAD_PATHS):
            self._keep(request, await self.limiter.hit(PLANS[PLAN][1], "upload", access.scope.key()))

    async def _all(self, request: Request, *counted: Allowance) -> None:
        self._keep(request, min(counted, key=lambda one: (one.allowed, one.remaining)))

    def _keep(self, request: Request, allowance: Allowance) -> None:
        request.state.allowance = allowance
        allowance.check()
