"""Which TLS the platform agrees to when it calls out."""

import ssl

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa

from gptagent.kernel.egress import Egress, network
from gptagent.kernel.errors import UpstreamUnavailable
from integration.egress_tools import answer, certificate, get, loopback, running

WEAK = ["AES128-SHA256", "AES256-GCM-SHA384", "AES128-SHA"]  # RSA key exchange: no forward secrecy


@pytest.fixture(autouse=True)
def trust_of_its_own(monkeypatch):
    """What a test trusts and agrees to is not for the others: all transports share one context."""
    monkeypatch.setattr(network, "_trust", network._trust.__wrapped__)


async def call(folder, *, newest, ciphers="ALL", accepted=None):
    """Call a server that speaks nothing newer and these ciphers only, with a certificate that is trusted."""
    pem = certificate("shop.example", folder, rsa.generate_private_key(65_537, 2_048))
    offered = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    offered.load_cert_chain(pem)
    offered.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    offered.maximum_version = newest
    offered.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    async with running(offered) as site:
        site["/"] = answer(b"sealed")
        ours = Egress(frozenset({("shop.example", site.port)}), resolver=loopback)
        context = ours._transport._pool._ssl_context  # all else stays as it is shipped
        context.load_verify_locations(pem)
        if accepted:
            context.set_ciphers(accepted)
        try:
            return (await get(ours, f"https://shop.example:{site.port}/")).body
        finally:
            await ours.aclose()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(newest, tmp_path):
    assert await call(tmp_path, newest=newest) == b"sealed"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_older_tls_is_not_spoken(tmp_path):
    with pytest.raises(UpstreamUnavailable):
        await call(tmp_path, newest=ssl.TLSVersion.TLSv1_1)


async def test_a_certificate_that_is_not_trusted_is_logged(tmp_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate("shop.example", tmp_path))
    async with running(context) as site:
        egress = Egress(frozenset({("shop.example", site.port)}), resolver=loopback)
        with structlog.testing.capture_logs() as logged, pytest.raises(UpstreamUnavailable):
            await get(egress, f"https://shop.example:{site.port}/secret-path")
        await egress.aclose()
    assert logged == [{"event": "egress_tls_failed", "host": "shop.example", "log_level": "warning"}]


@pytest.mark.parametrize("weak", WEAK)
async def test_a_cipher_without_forward_secrecy_is_not_agreed_to(weak, tmp_path):
    with pytest.raises(UpstreamUnavailable):
        await call(tmp_path, newest=ssl.TLSVersion.TLSv1_2, ciphers=weak)
    agreed = {"ciphers": weak, "accepted": "ALL:@SECLEVEL=0"}  # it is the ciphers that stand in the way
    assert await call(tmp_path, newest=ssl.TLSVersion.TLSv1_2, **agreed) == b"sealed"
