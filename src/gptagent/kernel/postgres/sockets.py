"""The folder of the server's socket: below the home, or a short one when that path is too long."""

import stat
import tempfile
from pathlib import Path

from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.postgres.account import Account
from gptagent.kernel.postgres.layout import Layout, write_private

SOCKET = ".s.PGSQL.5432"
LOCK = f"{SOCKET}.lock"
# sockaddr_un.sun_path of Linux holds 108 bytes, the last one a zero
SOCKET_PATH_BYTES = 107


def socket_dir_of(layout: Layout) -> Path | None:
    """The folder in use; None before the first start of a home whose path is too long."""
    if _fits(layout.run):
        return layout.run
    try:
        return Path(layout.socket_record.read_text())
    except FileNotFoundError:
        return None


def prepare_socket_dir(layout: Layout, account: Account) -> Path:
    """Return a private folder of the server's user; one already recorded is used again if it is sound."""
    if _fits(layout.run):
        account.make_private_folder(layout.run)
        return layout.run
    recorded = socket_dir_of(layout)
    if recorded is not None and _is_private(recorded, layout.data):
        return recorded
    short = Path(tempfile.mkdtemp(prefix="gptagent-"))
    if not _fits(short):
        short.rmdir()
        raise Misconfigured(
            "postgres_socket_path_too_long",
            "The paths {home} and {temporary} are too long for a socket. Set GPTAGENT_HOME to a shorter one.",
            params={"home": str(layout.home), "temporary": str(short.parent)},
        )
    account.give(short)
    account.require_entry(short)
    write_private(layout.socket_record, str(short))
    return short


def drop_socket_dir(layout: Layout) -> None:
    """Remove the short folder of a server that has stopped."""
    short = socket_dir_of(layout)
    if short is None or short == layout.run:
        return
    if _is_private(short, layout.data) and not any(short.iterdir()):
        short.rmdir()
        layout.socket_record.unlink(missing_ok=True)


def _fits(folder: Path) -> bool:
    return len(bytes(folder / SOCKET)) <= SOCKET_PATH_BYTES


def _is_private(folder: Path, data: Path) -> bool:
    # anybody may have put a folder of this name into the shared temporary folder meanwhile
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == data.stat().st_uid
        and stat.S_IMODE(found.st_mode) == 0o700
    )
