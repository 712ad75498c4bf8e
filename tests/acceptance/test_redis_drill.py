"""Redis is stopped, hung and emptied while people work: log-ins stay limited, the API answers."""

import asyncio
import shutil
import signal
import subprocess
from uuid import uuid4

import httpx2
import pytest
from limits import parse

from acceptance.door import Door
from cast import make_scope
from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.errors import RateLimited
from gptagent.kernel.ratelimit import RateLimiter
from gptagent.sandbox.smtp.certificate import _pair
from members import set_password
from servers import serving

REDIS = shutil.which("redis-server")
PASSWORD = "a word of this drill"
WAIT_SECONDS = 60
LIMIT = parse("10/year")  # no window begins while a test counts
pytestmark = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")


class Redis:
    """A real server, with a password, on this machine."""

    def __init__(self, folder, *more, tls=False):
        self.port = free_port()
        self.url = f"{'rediss' if tls else 'redis'}://:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/0"
        ports = ["--port", "0", "--tls-port"] if tls else ["--port"]
        self._command = [REDIS, *more, *ports, str(self.port), "--bind", "127.0.0.1"]
        self._command += ["--requirepass", PASSWORD, "--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in self.process.stdout:
            if b"Ready to accept connections" in line:
                return
        raise AssertionError("redis-server did not start")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def flush(self):
        client = ["redis-cli", "-p", str(self.port), "-a", PASSWORD, "flushall"]
        subprocess.run(client, check=True, capture_output=True, timeout=60)


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture
async def count_with(redis, monkeypatch):
    """Make what a process counts with, and close it in the end."""
    # A Redis that is there counts, however long a busy machine takes.
    monkeypatch.setattr("gptagent.kernel.ratelimit.REDIS_TIMEOUT_SECONDS", 5.0)
    made = []

    def make(url=""):
        made.append(RateLimiter(url or redis.url))
        return made[-1]

    yield make
    for limiter in made:
        await limiter.aclose()


TROUBLES = ["stop", "hang", "flush"]


async def tries_until_refused(limiter, key, most):
    for count in range(most):
        if not await limiter.hit_strictly(LIMIT, key):
            return count
    return most


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_with_redis_gives_nobody_a_further_try(trouble, redis, count_with):
    """SEC-9, AUTH-12"""
    limiter, key = count_with(), uuid4().hex
    assert await tries_until_refused(limiter, key, 6) == 6
    getattr(redis, trouble)()
    assert await tries_until_refused(limiter, key, 20) == 4
    assert limiter.is_degraded is (trouble != "flush")


async def test_two_processes_share_one_count_while_redis_is_there(count_with):
    key = uuid4().hex
    one, other = count_with(), count_with()
    assert await tries_until_refused(one, key, 7) == 7
    assert await tries_until_refused(other, key, 20) == 3
    assert (await one.hit(LIMIT, "requests", key)).remaining == 9
    assert (await other.hit(LIMIT, "requests", key)).remaining == 8


@pytest.mark.parametrize("trouble", ["stop", "hang"])
async def test_without_redis_a_process_goes_on_counting_for_itself(trouble, redis, count_with):
    """SEC-9"""
    limiter, key = count_with(), uuid4().hex
    getattr(redis, trouble)()
    for _request in range(10):
        (await limiter.hit(LIMIT, key)).check()
    with pytest.raises(RateLimited):
        (await limiter.hit(LIMIT, key)).check()


async def test_redis_that_is_back_is_asked_again(redis, count_with, monkeypatch):
    monkeypatch.setattr("gptagent.kernel.ratelimit.REDIS_PAUSE_SECONDS", 0.0)
    limiter, key = count_with(), uuid4().hex
    redis.stop()
    await limiter.hit(LIMIT, key)
    assert limiter.is_degraded
    redis.start()
    assert (await limiter.hit(LIMIT, key)).remaining == 9
    assert not limiter.is_degraded


@pytest.fixture
async def served(redis, home, web, database, vault):
    """A web process that counts in this Redis; its client waits for one that hangs no longer than a test."""
    with serving(home, REDIS_URL=redis.url) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=60) as client:
            yield server, Door(client, database, vault, server.used)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_api_answers_and_log_ins_stay_limited(trouble, redis, served, database):
    """SEC-9, WRK-10"""
    server, door = served
    alice = await door.of(await make_scope(database))
    await set_password(database, alice.scope)
    assert (await alice("GET", "/api/v1/agents")).headers["ratelimit-remaining"] == "99"
    email = f"{uuid4().hex}@example.test"
    before = [(await door.log_in(email, "wrong")).status_code for _try in range(5)]
    getattr(redis, trouble)()
    for _request in range(20):
        assert (await alice("GET", "/api/v1/agents")).status_code == 200
    after = [(await door.log_in(email, "wrong")).status_code for _try in range(7)]
    assert before + after == [401] * 10 + [429] * 2
    is_there = trouble == "flush"
    async with asyncio.timeout(WAIT_SECONDS):  # one that is there may have been slow, on a busy machine
        while (ready := await door("GET", "/health/ready")).json()["status"] == "degraded" and is_there:
            await alice("GET", "/api/v1/agents")
            await asyncio.sleep(0.2)
    assert (ready.status_code, ready.json()["status"]) == (200, "ready" if is_there else "degraded")
    assert server.log.count("redis_away") - server.log.count("redis_back") == (0 if is_there else 1)
    assert PASSWORD not in server.log


async def test_a_server_with_another_password_is_no_server(redis, count_with):
    limiter = count_with(f"redis://:wrong@127.0.0.1:{redis.port}/0")
    assert (await limiter.hit(LIMIT, uuid4().hex)).allowed
    assert limiter.is_degraded


@pytest.mark.parametrize(("trusts", "degraded"), [(True, False), (False, True)])
async def test_over_tls_only_a_server_whose_certificate_is_trusted_counts(
    trusts, degraded, tmp_path, count_with
):
    certificate, key = _pair()
    for name, pem in (("crt", certificate.encode()), ("key", key)):
        (tmp_path / f"redis.{name}").write_bytes(pem)
    tls = ["--tls-cert-file", str(tmp_path / "redis.crt"), "--tls-key-file", str(tmp_path / "redis.key")]
    server = Redis(tmp_path, *tls, "--tls-auth-clients", "no", tls=True)
    try:
        ca = f"?ssl_ca_certs={tmp_path / 'redis.crt'}" if trusts else ""
        limiter = count_with(server.url + ca)
        assert (await limiter.hit(LIMIT, uuid4().hex)).allowed
        assert limiter.is_degraded is degraded
    finally:
        server.stop()
