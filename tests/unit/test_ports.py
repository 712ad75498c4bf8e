"""Ports for the servers of a demonstration."""

import socket
from pathlib import Path

from gptagent.entrypoints.demo.ports import free_port


def test_a_free_port_is_none_that_an_outgoing_connection_may_be_given():
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = {free_port() for _ in range(50)}
    assert len(ports) > 1
    assert not [port for port in ports if low <= port <= high]


def test_a_free_port_can_be_bound():
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))
        server.listen()
