"""The operating-system user the server runs as: PostgreSQL refuses to be root."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gptagent.kernel.errors import Misconfigured

# Nothing of our own environment reaches the server: PGDATA, PGPORT or a locale would change it.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Account:
    """`uid` and `gid` are None when the server runs as the user we already are."""

    uid: int | None = None
    gid: int | None = None

    @property
    def name(self) -> str:
        uid = os.geteuid() if self.uid is None else self.uid
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def run(self, command: Sequence[str | Path], *, pass_fds: Sequence[int] = ()) -> tuple[int, str]:
        """Run to the end as this user; return exit code and output."""
        try:
            done = subprocess.run(
                command,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                pass_fds=pass_fds,
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        except OSError as error:
            return 126, str(error)
        return done.returncode, done.stdout.strip()

    def spawn(self, command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
        """Start a process that outlives us and does not hear the Ctrl-C of our terminal."""
        return subprocess.Popen(
            command,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def give(self, path: Path | int) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def make_private_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
        self.give(path)

    def require_entry(self, folder: Path) -> None:
        """Raise Misconfigured naming the first folder on the way that this user cannot enter."""
        way = [*reversed(folder.parents), folder]
        code, closed = self.run(
            ["/bin/sh", "-c", 'for d; do test -x "$d" || { echo "$d"; exit 1; }; done', "sh", *way]
        )
        if code == 0:
            return
        if code != 1:
            raise Misconfigured(
                "postgres_user_unusable",
                "No process could be started as the user {user}: {reason}",
                params={"user": self.name, "reason": closed},
            )
        raise Misconfigured(
            "postgres_home_unreachable",
            "PostgreSQL runs as the user {user}, who cannot enter {folder} (mode {mode}). "
            "Set GPTAGENT_HOME to another folder or allow entry with: chmod o+x {folder}",
            params={
                "user": self.name,
                "folder": closed,
                "mode": f"{Path(closed).stat().st_mode & 0o7777:#o}",
            },
        )


def choose_account(data: Path) -> Account:
    """As root: the owner of existing data, else `postgres`, else nobody. Otherwise ourselves."""
    if os.geteuid() != 0:
        return Account()
    if data.exists():
        owner = data.stat()
        if owner.st_uid == 0:
            raise Misconfigured(
                "postgres_data_owned_by_root",
                "{folder} belongs to root, and PostgreSQL refuses to run as root. "
                "Give it to the user it shall run as, for example: chown -R nobody {folder}",
                params={"folder": str(data)},
            )
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return Account(NOBODY, NOBODY)
