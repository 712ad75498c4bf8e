"""The data directory and the command line of its server."""

import os
import secrets
import shutil
from pathlib import Path

from gptagent.kernel.errors import Misconfigured, UpstreamUnavailable
from gptagent.kernel.postgres.account import Account
from gptagent.kernel.postgres.binaries import Binaries
from gptagent.kernel.postgres.endpoint import PORT, SUPERUSER
from gptagent.kernel.postgres.layout import Layout, sync_folder, write_private
from gptagent.kernel.postgres.processes import server_mark

# On the command line, so that a new release changes them and nothing in the data directory undoes them.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    # after a restore: not before the last change is back
    "hot_standby": "off",
    "max_connections": "60",
    # a machine of 2 cores and 350 MB for the whole platform; the kernel's page cache does the rest
    "shared_buffers": "96MB",
    "huge_pages": "off",
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "max_wal_size": "512MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # failed statements are the caller's to log: theirs would put customers' data into this file
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


def server_command(binaries: Binaries, layout: Layout, socket_dir: Path) -> list[str]:
    settings = SETTINGS | {"cluster_name": server_mark(layout.data)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(binaries.postgres), "-D", str(layout.data), "-k", str(socket_dir), "-p", str(PORT), *options]


def superuser_password(layout: Layout) -> str:
    """Return the stored password, made before the data it belongs to."""
    try:
        return layout.password.read_text()
    except FileNotFoundError:
        if layout.initialised:
            raise Misconfigured(
                "postgres_password_missing",
                "{file} is missing: without it nobody can manage the database beside it. "
                "Restore it from a backup.",
                params={"file": str(layout.password)},
            ) from None
    password = secrets.token_urlsafe(32)
    write_private(layout.password, password)
    return password


def create_cluster(layout: Layout, account: Account, binaries: Binaries, password: str) -> None:
    """Make the data directory; it appears whole or not at all, also after a kill in the middle."""
    if layout.data.exists() and any(layout.data.iterdir()):
        raise Misconfigured(
            "postgres_data_unknown",
            "{folder} holds files but no PostgreSQL data (PG_VERSION is missing). Move them away.",
            params={"folder": str(layout.data)},
        )
    for leftover in layout.root.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = layout.root / f"data.new-{secrets.token_hex(4)}"
    account.make_private_folder(fresh)
    code, said = _initdb(fresh, account, binaries, password)
    if code != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise UpstreamUnavailable(
            "postgres_initdb_failed",
            "PostgreSQL could not create its data directory: {reason}",
            params={"reason": said[-1000:]},
        )
    fresh.rename(layout.data)
    sync_folder(layout.root)


def _initdb(fresh: Path, account: Account, binaries: Binaries, password: str) -> tuple[int, str]:
    reader, writer = os.pipe()
    try:
        os.write(writer, password.encode())
        os.close(writer)
        # initdb opens the pipe anew by its path, which only its owner may
        account.give(reader)
        command: list[str | Path] = [
            *(binaries.initdb, "-D", fresh, "-U", SUPERUSER, f"--pwfile=/dev/fd/{reader}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
            "--no-instructions",
        ]
        return account.run(command, pass_fds=[reader])
    finally:
        os.close(reader)
