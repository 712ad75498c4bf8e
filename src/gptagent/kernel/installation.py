"""Facts about the whole installation, asked without a tenant."""

from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Misconfigured


async def check_keys(session: Session, vault: Vault) -> None:
    """Remember which keys seal this installation's secrets. Raises Misconfigured for other ones."""
    await session.execute(
        "insert into app.installation (key_fingerprint) values ($1) on conflict do nothing", vault.fingerprint
    )
    # A statement of its own: only now is the row visible that another process was just storing.
    known = await session.fetchval("select key_fingerprint from app.installation")
    if known != vault.fingerprint:
        raise Misconfigured(
            "secret_keys_differ",
            "SECRET_KEYS are not the keys this installation's secrets were sealed with. Set the former ones.",
        )
