"""The only way out: an HTTP client that judges the address it is about to connect to.

`addresses` says which addresses are public, `network` applies that at connect time, so that redirects,
DNS rebinding and odd spellings end at the same check, `bodies` reads answers under a cap, `client` is what
the adapters use; `tunnels` and `ways` let calls leave from other addresses. Libraries that bring their own
client get a `GuardedTransport`.
"""

from gptagent.kernel.egress.client import Egress, Response
from gptagent.kernel.egress.network import GuardedTransport
from gptagent.kernel.egress.ways import Ways

__all__ = ["Egress", "GuardedTransport", "Response", "Ways"]
