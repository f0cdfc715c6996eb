"""Whose word on a client's address counts."""

from ipaddress import ip_network

import pytest

from services.gateway.web.proxies import client_of
from tests.running.settings import gateway_settings

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"), ip_network("127.0.0.1")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", [b"198.51.100.1"], "203.0.113.9"),
        ("203.0.113.9", [b"10.0.0.1", b"127.0.0.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"192.0.2.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"192.0.2.1", b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"192.0.2.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [b"192.0.2.1,198.51.100.1", b"10.0.0.2 ,10.0.0.3"], "198.51.100.1"),
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [b"127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", [b"[2001:db8:2::1]:443"], "2001:db8:2::1"),
        ("10.0.0.1", [b"2001:DB8:2:0::1"], "2001:db8:2::1"),
        ("2001:db8:1::5", [b"198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1, 10.0.0.2, \xff\x00"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1, _hidden, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"1.2.3.4.5"], "10.0.0.1"),
        ("10.0.0.1", [b"10.0.0.1," * 50_000], "10.0.0.1"),
        ("/run/socket", [b"198.51.100.1"], "/run/socket"),
    ],
)
def test_the_last_address_that_is_no_trusted_proxys_counts(
    peer: str, forwarded: list[bytes], client: str
) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


def test_unless_it_is_named_no_proxy_is_trusted() -> None:
    assert (
        client_of("127.0.0.1", [b"198.51.100.1"], gateway_settings("postgresql://x").trusted_proxies)
        == "127.0.0.1"
    )


def test_proxies_are_named_by_addresses_and_networks() -> None:
    named = gateway_settings(
        "postgresql://x", trusted_proxies="10.0.0.1, 172.16.0.0/12,2001:db8::/32"
    ).trusted_proxies
    assert [str(each) for each in named] == ["10.0.0.1/32", "172.16.0.0/12", "2001:db8::/32"]
    for wrong in ("*", "proxy.example", "10.0.0.1/8"):
        with pytest.raises(ValueError, match="trusted_proxies"):
            gateway_settings("postgresql://x", trusted_proxies=wrong)
