"""Addresses of PostgreSQL and Redis: whether what goes there can be read or changed on the way."""

import ipaddress
from urllib.parse import parse_qs, unquote, urlsplit

# All other modes of libpq and asyncpg take any certificate, or none.
SAFE_SSLMODES = frozenset({"verify-full", "verify-ca"})


def is_safe_postgres(address: str) -> bool:
    """Whether every host is on this machine, or the other side's certificate is insisted on.

    An address that names no host is not safe: the drivers look for one elsewhere then, and so they do with
    libpq's `service`.
    """
    url = urlsplit(address)
    query = parse_qs(url.query)
    modes = query.get("sslmode", [])
    if modes and SAFE_SSLMODES.issuperset(modes):
        return True
    hosts = [_host(part) for part in url.netloc.rpartition("@")[2].split(",") if part]
    for name in ("host", "hostaddr"):
        hosts += [host for value in query.get(name, []) for host in value.split(",")]
    return bool(hosts) and "service" not in query and all(_is_here(host) for host in hosts)


def is_safe_redis(address: str) -> bool:
    """Whether Redis is on this machine, or its certificate and name are checked."""
    url = urlsplit(address)
    if url.scheme.endswith("unix"):
        return True
    if _is_here(url.hostname or "localhost"):  # the client's own default
        return True
    query = parse_qs(url.query, keep_blank_values=True)
    checked = {"required"}.issuperset(query.get("ssl_cert_reqs", []))
    named = {"true"}.issuperset(value.lower() for value in query.get("ssl_check_hostname", []))
    return url.scheme == "rediss" and checked and named


def _host(part: str) -> str:
    """Return the host of `host:port`, `[::1]:port` or an encoded socket's folder."""
    if part.startswith("["):
        return part[1:].partition("]")[0]
    return unquote(part.partition(":")[0])


def _is_here(host: str) -> bool:
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
