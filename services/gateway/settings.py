"""The gateway's settings, all from the environment."""

import hashlib
import hmac
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from contracts import pay_links
from contracts.pay_links import PayLinks
from contracts.unsubscribing import Unsubscribing
from services.chassis.http.keys import keys_in
from services.chassis.settings import ServiceSettings
from services.chassis.signing import SigningKeys, keys_of


def _parts(value: object) -> object:
    """`invoice.api=http://…,relay=http://…` as a mapping."""
    if not isinstance(value, str):
        return value
    pairs = (part.partition("=") for part in value.split(",") if part.strip())
    return {name.strip(): url.strip() for name, _, url in pairs}


DEMO_OPERATOR_KEY = "demo-operator-key"
"""Public, so it works only in demo mode."""
DEMO_LOGINS = {"Client": "client@example.com", "Staff": "staff@example.com"}
"""The e-mail addresses of the demo's logins. All visitors of the demo share them."""
DEMO_PASSWORD = "clinicpay-demo"  # noqa: S105 - public  # pragma: allowlist secret
_SHORTEST_KEY, _LONGEST_KEY = 10, 200

Parts = Annotated[dict[str, AnyHttpUrl], NoDecode, BeforeValidator(_parts)]


def _list(value: object) -> object:
    """`10.0.0.1, 10.1.0.0/16` as a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_list)]


class Settings(ServiceSettings):
    """`public_url` is how browsers reach the portal; `ready_parts` are asked for the state of the whole."""

    invoice_url: AnyHttpUrl
    payment_url: AnyHttpUrl
    notification_url: AnyHttpUrl
    internal_token_private_key: SecretStr
    public_url: AnyHttpUrl
    stripe_publishable_key: str = Field(min_length=1)
    stripe_js_url: AnyHttpUrl = AnyHttpUrl("https://js.stripe.com/v3/")
    demo: bool = False
    ready_parts: Parts = Field(default_factory=dict)
    bootstrap_operator_key: SecretStr | None = None
    """The first operator's API key of an installation. Its hash is stored at start.
    Two, separated by a comma, while one replaces the other."""
    trusted_proxies: Networks = ()
    """Addresses and networks of the proxies before us. `X-Forwarded-For` from any other address is ignored."""
    requests_per_minute: int = Field(default=1200, ge=1)
    """Limit of one API key, of one session, and of one address without either (at the API, and at the portal), in one
    process."""
    webhooks_per_minute: int = Field(default=12_000, ge=1)
    """Limit of one address at the webhook edge, in one process."""
    login_key: SigningKeys
    """Encrypts the secrets of logins' second factors, and the cookies of browsers that a login knows; hashes codes that
    are e-mailed. Several, separated by commas, while it is replaced: the first encrypts, all decrypt."""
    pay_link_key: SigningKeys
    """Signs the links that open one invoice without a login. Several, separated by commas, while it is replaced: the
    first signs, all verify."""
    pay_link_days: int = Field(default=pay_links.DAYS, ge=1, le=pay_links.MOST_DAYS)
    """How long such a link works."""

    @model_validator(mode="after")
    def _keys(self) -> Self:
        for key in self.operator_keys:
            if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
                raise ValueError(
                    f"BOOTSTRAP_OPERATOR_KEY needs {_SHORTEST_KEY} to {_LONGEST_KEY} characters a key"
                )
            if key == DEMO_OPERATOR_KEY and not self.demo:
                raise ValueError(
                    "BOOTSTRAP_OPERATOR_KEY is the demo's, which everybody knows: make one of your own"
                )
        if self.demo and self.stripe_publishable_key.startswith("pk_live_"):
            raise ValueError("DEMO is on, and STRIPE_PUBLISHABLE_KEY is a live one: demo and live never mix")
        return self

    def is_shared(self, email: str) -> bool:
        """Whether a login is the demo's, which nobody may change for all others."""
        return self.demo and email in DEMO_LOGINS.values()

    @property
    def operator_keys(self) -> tuple[str, ...]:
        given = self.bootstrap_operator_key.get_secret_value() if self.bootstrap_operator_key else ""
        return tuple(key.strip() for key in given.split(",") if key.strip())

    @property
    def pay_links(self) -> PayLinks:
        return PayLinks(keys_of(self.pay_link_key.get_secret_value()), self.pay_link_days)

    @property
    def unsubscribing(self) -> Unsubscribing:
        return Unsubscribing(self.pay_links.keys)

    @property
    def public_origin(self) -> str:
        return origin_of(self.public_url)

    @property
    def passkey_host(self) -> str | None:
        """The host that passkeys are bound to; None for an address of numbers, for which browsers have none."""
        host = urlsplit(str(self.public_url)).hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return host
        return None

    @property
    def https(self) -> bool:
        return self.public_url.scheme == "https"

    @property
    def stripe_origin(self) -> str:
        """The origin of the payment script: Stripe's, or the sandbox's."""
        return origin_of(self.stripe_js_url)

    @property
    def csrf_secrets(self) -> list[str]:
        """The keys for CSRF tokens, the same in every gateway process: the first signs, all are accepted."""
        private = keys_in(self.internal_token_private_key.get_secret_value())
        return [
            hmac.new(key.encode(), b"clinicpay csrf tokens", hashlib.sha256).hexdigest() for key in private
        ]


def origin_of(url: AnyHttpUrl) -> str:
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}"
