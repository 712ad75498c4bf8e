"""Which addresses belong to the public internet. The lists are ours: `ipaddress.is_global` differs between
patch releases of Python and judges an embedded IPv4 address by its wrapping.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_REFUSED_V4 = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata service lives here too
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # looks public, is the host agent of a cloud's machines
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata service lives here too
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Outside of it: loopback, unspecified, IPv4-mapped, NAT64 (64:ff9b::), unique local, link-local, multicast.
_GLOBAL_V6 = ip_network("2000::/3")
_REFUSED_V6 = tuple(
    ip_network(block)
    for block in (
        "2001::/23",  # protocol assignments, among them Teredo, which embeds IPv4
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 embeds IPv4
        "3fff::/20",  # documentation
    )
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z", re.IGNORECASE)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)


def is_public(address: str) -> bool:
    """Whether an IP literal is a unicast address of the public internet that embeds no other address."""
    literal = as_literal(address)
    if isinstance(literal, IPv4Address):
        return not any(literal in block for block in _REFUSED_V4)
    if isinstance(literal, IPv6Address):
        return (
            literal.scope_id is None
            and literal in _GLOBAL_V6
            and not any(literal in block for block in _REFUSED_V6)
        )
    return False


def as_literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address `host` spells in the standard way, or None where it is a name or an odd spelling."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_plain_host(host: str) -> bool:
    """Whether a host is a name or an address in its standard spelling.

    Resolvers read `0x7f.1`, `0177.0.0.1` and `2130706433` as addresses; a name whose last label is a
    number can only be meant so.
    """
    if as_literal(host) is not None:
        return True
    return _NAME.match(host) is not None and _NUMBER.fullmatch(host.rpartition(".")[2]) is None
