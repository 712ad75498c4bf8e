"""Where things lie below `home/postgres/`, and the private files among them."""

import os
from dataclasses import dataclass
from pathlib import Path

from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.ids import new_token


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one home; `home` is resolved, so that the server's own view of them is the same."""

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "postgres"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "postgres.log"

    @property
    def lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def password(self) -> Path:
        return self.root / "superuser.pw"

    @property
    def roles(self) -> Path:
        return self.root / "roles.json"

    @property
    def socket_record(self) -> Path:
        return self.root / "socket_dir"

    @property
    def initialised(self) -> bool:
        return (self.data / "PG_VERSION").is_file()

    def create(self) -> None:
        """Make the folders that are missing; existing ones keep their mode."""
        mode = 0o755 if os.geteuid() == 0 else 0o700
        for folder in reversed([self.root, *self.root.parents]):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                # mkdir's own mode argument would be cut by the umask
                folder.chmod(mode)
                adopt(folder)

    def require_own(self) -> None:
        """Raise Misconfigured when this home is another user's."""
        me = os.geteuid()
        if me == 0:
            return
        for folder in (self.home, self.root, self.data):
            if folder.exists() and (owner := folder.stat().st_uid) != me:
                raise Misconfigured(
                    "postgres_home_foreign",
                    "{folder} belongs to the user with id {owner}, this process runs as {me}. "
                    "Run it as that user or set GPTAGENT_HOME to another folder.",
                    params={"folder": str(folder), "owner": owner, "me": me},
                )


def locked_out(error: PermissionError, home: Path) -> Misconfigured:
    """The error for a folder this very process cannot enter or write; names the folder and its mode."""
    target = Path(error.filename) if isinstance(error.filename, str) else home
    folder = Path(target.anchor)
    for step in [*reversed(target.parents), target]:
        if not os.access(folder, os.X_OK) or not step.exists():
            break
        folder = step
    return Misconfigured(
        "postgres_home_unreachable",
        "{home} cannot be used: the user with id {uid} has no access to {folder} (mode {mode}). "
        "Set GPTAGENT_HOME to a folder of that user.",
        params={
            "home": str(home),
            "folder": str(folder),
            "mode": f"{folder.stat().st_mode & 0o7777:#o}",
            "uid": os.geteuid(),
        },
    )


def adopt(path: Path) -> None:
    """Give what root made to the owner of the folder around it, so that this user can go on without root."""
    if os.geteuid() == 0:
        around = path.parent.stat()
        os.chown(path, around.st_uid, around.st_gid)


def write_private(path: Path, content: str) -> None:
    """Replace a file readable by its owner only; after a crash it holds the old content or the new."""
    part = path.with_name(f".{path.name}.{new_token(6)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    adopt(part)
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
