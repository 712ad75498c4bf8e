"""Open event streams must not hold up what they belong to."""

import signal

import httpx2

from members import cookie_of, number_of
from servers import serving

# Never reached: with a Redis configured a second web process is allowed beside the session's own.
NO_REDIS = "redis://:secret@127.0.0.1:1/0"
STOP_SECONDS = 60  # a bound only
WAITED_IN_VAIN = "timeout graceful shutdown exceeded"  # what the server logs of requests it had to cancel


async def test_a_server_told_to_stop_ends_its_open_streams_at_once(home, database, scope):
    token = await cookie_of(database, scope)
    path = f"/manage/{await number_of(database, scope)}-alice-s/live?topics=agents"
    with serving(home, REDIS_URL=NO_REDIS) as server:
        with httpx2.stream("GET", server.url + path, cookies={"session": token}, timeout=20) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 2000"
            server.process.terminate()
            rest = list(lines)
        assert server.process.wait(STOP_SECONDS) == -signal.SIGTERM
        assert WAITED_IN_VAIN not in server.log
    assert all(not line.startswith("data:") for line in rest)
