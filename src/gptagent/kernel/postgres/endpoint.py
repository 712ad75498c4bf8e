"""How to reach a running server, and whether it answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from urllib.parse import quote, urlencode

from gptagent.kernel.errors import UpstreamUnavailable

PORT = 5432
SUPERUSER = "gptagent_admin"
ANSWER_S = 5
SILENCE_S = 120.0
# Between the two questions of `ask` a server may shut down; this often it does not.
REFUSALS = 10
REPORT_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Reachable only through a socket in a private folder; every user needs a password."""

    socket_dir: Path
    port: int
    superuser: str
    superuser_password: str = field(repr=False)

    def dsn(self, user: str, password: str, database: str) -> str:
        """Return a URL that both asyncpg and psycopg understand."""
        return socket_dsn(self.socket_dir, user, password, database)

    @property
    def admin_dsn(self) -> str:
        return self.dsn(self.superuser, self.superuser_password, "postgres")


class Answer(Enum):
    READY = auto()
    STARTING = auto()  # also recovering and shutting down: it lives and refuses for now
    SILENT = auto()


def socket_dsn(socket_dir: Path, user: str, password: str, database: str) -> str:
    query = urlencode({"host": str(socket_dir), "port": PORT})
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database)}?{query}"


def ask(endpoint: Endpoint) -> Answer:
    """Ask by a real connection. Raises psycopg.OperationalError when the server refuses us for good."""
    import psycopg
    from psycopg import pq

    dsn = f"{endpoint.admin_dsn}&connect_timeout={ANSWER_S}"
    said = pq.PGconn.ping(dsn.encode())
    if said == pq.Ping.REJECT:
        return Answer.STARTING
    if said != pq.Ping.OK:
        return Answer.SILENT
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select 1")
    return Answer.READY


def await_ready(endpoint: Endpoint, alive: Callable[[], bool], report: Callable[[float], None]) -> bool:
    """Wait until the server serves; False when its process ended instead.

    There is no limit while the server says it is starting: recovery takes as long as it takes,
    and killing it would only begin it anew. `report` gets the seconds waited so far.
    """
    began = heard = time.monotonic()
    next_report = began + REPORT_EVERY_S
    refusals: list[str] = []
    while alive():
        answer = _ask_noting(endpoint, refusals)
        if answer is Answer.READY:
            return True
        now = time.monotonic()
        if answer is Answer.STARTING:
            heard = now
        elif now - heard > SILENCE_S or len(refusals) > REFUSALS:
            raise UpstreamUnavailable(
                "postgres_unusable",
                "PostgreSQL runs but does not serve us after {seconds} seconds. It said: {said}",
                params={"seconds": round(now - heard), "said": refusals[-1] if refusals else "-"},
            )
        if now > next_report:
            next_report = now + REPORT_EVERY_S
            report(now - began)
        time.sleep(0.01 if now - began < 1 else 0.1)
    return False


def _ask_noting(endpoint: Endpoint, refusals: list[str]) -> Answer:
    import psycopg

    try:
        return ask(endpoint)
    except psycopg.OperationalError as error:
        refusals.append(str(error).strip())
        return Answer.SILENT
