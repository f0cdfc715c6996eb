"""Who asks, behind proxies: what `X-Forwarded-For` says counts only as far as named proxies have written it.

Other headers of this kind are read by nobody: `PUBLIC_URL` says by which scheme and name browsers reach us.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_MOST = 20
"""Longer chains are no chains of proxies."""


class ClientAddresses(ASGIMiddleware):
    """Gives each request the address of its client, in place of the proxy's, for all that ask for it."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        client = scope.get("client")
        if client is not None:
            forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
            scope["client"] = (client_of(client[0], forwarded, self._trusted), client[1])
        await next_app(scope, receive, send)


def client_of(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """The last address of the way to us that is no trusted proxy's. The peer itself, if nobody trusts it.

    peer        whom the connection comes from
    forwarded   the `X-Forwarded-For` headers in their order: each proxy adds its own peer at the end
    """
    found = _address(peer)
    if found is None:
        return peer
    for named in _from_the_right(forwarded):
        if not any(found in network for network in trusted):
            break
        address = _address(named)
        if address is None:
            break  # what a trusted proxy passed on and did not write itself
        found = address
    return str(found)


def _from_the_right(forwarded: Sequence[bytes]) -> Iterator[str]:
    for value in reversed(forwarded):
        for named in reversed(value.decode("latin-1").rsplit(",", _MOST)[-_MOST:]):
            yield named.strip()


def _address(text: str) -> Address | None:
    """Of `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`; `::ffff:192.0.2.1` is `192.0.2.1`."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
