"""What `gptagent up` does about a database that does not come back at once."""

from dataclasses import dataclass

from gptagent.entrypoints import up
from gptagent.kernel.errors import UpstreamUnavailable


@dataclass
class Broken:
    """A server that fails to start so many times."""

    failures: int
    starts: int = 0
    pid: int | None = None

    def start(self):
        self.starts += 1
        if self.starts <= self.failures:
            raise UpstreamUnavailable("postgres_did_not_start", "PostgreSQL did not start.")
        self.pid = 7


def test_a_database_that_does_not_start_is_tried_again_later_each_time(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(up.time, "monotonic", lambda: clock[0])
    server, revival, tried = Broken(failures=3), up.Revival(), []
    while server.pid is None:
        before = server.starts
        revival.watch(server)
        if server.starts > before:
            tried.append(clock[0])
        clock[0] += 0.5
    assert tried == [0.0, 0.5, 1.5, 3.5]
    assert "Again in 0.5 s" in capsys.readouterr().out


def test_a_database_that_runs_is_left_alone():
    server = Broken(failures=0, pid=7)
    up.Revival().watch(server)
    assert server.starts == 0
