"""Ports for servers that start a moment later."""

import errno
import secrets
import socket
from pathlib import Path

LOWEST_PORT = 10_000
HIGHEST_PORT = 65_535
TRIES = 100
_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1 that the system gives to no connection meanwhile.

    A port asked for with number 0 comes from the range that outgoing connections are given too (Linux:
    net.ipv4.ip_local_port_range), so one of them may hold it by the time its server binds it.
    """
    for _ in range(TRIES):
        port = secrets.choice(_quiet_ports())
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
        return port
    raise OSError(errno.EADDRINUSE, f"none of {TRIES} ports tried is free")


def _quiet_ports() -> range:
    """Return the larger of the ranges below and above the one of outgoing connections."""
    low, high = (int(part) for part in _CONNECTIONS.read_text().split())
    below, above = range(LOWEST_PORT, low), range(high + 1, HIGHEST_PORT + 1)
    return max(below, above, key=len) or range(LOWEST_PORT, HIGHEST_PORT + 1)
