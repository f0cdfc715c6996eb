"""Limits count a sender: an IPv4 address, or all of the addresses that one line has in IPv6."""

from typing import Any

import pytest

from services.gateway.web.limits import address_of


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("testclient", "testclient"),
    ],
)
def test_a_sender_has_all_addresses_of_its_line(address: str, sender: str) -> None:
    scope: Any = {"client": (address, 443)}

    assert address_of(scope) == sender


def test_a_request_without_a_peer_counts_too() -> None:
    scope: Any = {"client": None}

    assert address_of(scope) == "unknown"
