from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptagent.kernel.egress.addresses import is_plain_host, is_public

PRIVATE_V4 = [
    "0.0.0.1", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.254",
    "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.254",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
PRIVATE_V6 = [
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    "2002:7f00:1::", "2002:808:808::1", "3fff::1", "4000::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "2a00:1450::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "2a00:1450:4001::1",
]
ODD_HOSTS = [
    "0x7f.1", "0x7f000001", "0x", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0",
    "0.0.0", "127.0.0.1.", "1.1.1.256", "1.1.1.1.1", "example.com.", "example.0x7f", "a b", "", ".", "a..b",
    "-a.com", "[::1", "exam%70le.com", "a" * 64 + ".com", "x." * 127 + "com",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE_V4 + PRIVATE_V6)
def test_an_address_that_is_not_of_the_public_internet_is_refused(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address):
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.1.1", "01.1.1.1", "1.1.1.1/32", "1.1.1.1:80"])
def test_what_is_no_address_is_not_public(text):
    assert not is_public(text)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_refused_whatever_it_holds(inner):
    number = int(inner)
    assert not is_public(f"::ffff:{inner}")
    assert not is_public(str(IPv6Address(number)))
    assert not is_public(str(IPv6Address((0x2002 << 112) | (number << 80))))
    assert not is_public(str(IPv6Address((0x0064_FF9B << 96) | number)))
    assert not is_public(str(IPv6Address((0x2001_0000 << 96) | (number ^ 0xFFFF_FFFF))))


@given(
    st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "224.0.0.0/3"]), st.integers(0, 2**32 - 1)
)
def test_no_address_of_a_refused_block_passes(block, offset):
    network = ip_network(block)
    assert not is_public(str(IPv4Address(int(network.network_address) + offset % network.num_addresses)))


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_an_odd_spelling_of_a_host_is_not_plain(host):
    assert not is_plain_host(host)


@pytest.mark.parametrize(
    "host", ["acme.kommo.com", "localhost", "xn--80ak6aa92e.com", "a_b.example", "8.8.8.8", "::1"]
)
def test_names_and_standard_addresses_are_plain(host):
    assert is_plain_host(host)


@given(st.integers(0, 255), st.integers(0, 2**24 - 1))
def test_no_shortened_or_numeric_form_of_an_address_is_plain(head, tail):
    for spelling in (f"{head}.{tail}", f"{head << 24 | tail}", f"{head << 24 | tail:#x}", f"0{head:o}.0.0.1"):
        assert not is_plain_host(spelling)
