"""The console's settings, all from the environment."""

import hashlib
import hmac
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from deploy.ops import variables
from deploy.ops.data_directory import STRIPE_ITSELF
from deploy.ops.database import SERVICES
from deploy.ops.verify.access import Access
from deploy.ops.workers import WORKED
from services.chassis.settings import ProcessSettings
from services.chassis.signing import SigningKeys, keys_of
from services.gateway.settings import Networks


def _dsns(value: object) -> object:
    return variables.dsns(value) if isinstance(value, str) else value


Dsns = Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_dsns)]
LEAST_REQUESTS = 30


class Settings(ProcessSettings):
    """`console_url` is how operators' browsers reach the console."""

    console_url: AnyHttpUrl
    gateway_url: AnyHttpUrl
    """The gateway, which knows the state of all parts."""
    ops_database_urls: Dsns
    """invoice=postgresql://…,payment=…,notification=…,gateway=…: as the role `ops`, which reads all."""
    worker_database_urls: Dsns
    """invoice=…,payment=…,notification=…: as the services' workers, for what operators do to events and e-mails."""
    gateway_database_url: SecretStr
    """As gateway_api, for what operators do to API keys."""
    console_key: SigningKeys
    """Encrypts operators' second factors, and signs the tokens of forms. Several, separated by commas, while it is
    replaced: the first encrypts and signs, all are accepted."""
    stripe_secret_key: SecretStr | None = None
    """With it journeys ask Stripe about payments that have not ended. A restricted key that reads intents will do."""
    stripe_api_base: str = STRIPE_ITSELF
    trusted_proxies: Networks = ()
    """Addresses and networks of the proxies before the console. `X-Forwarded-For` from any other is ignored."""
    requests_per_minute: int = Field(default=600, ge=LEAST_REQUESTS)
    """Limit of one address, in one process."""

    @model_validator(mode="after")
    def _all(self) -> Self:
        _complete("OPS_DATABASE_URLS", self.ops_database_urls, SERVICES)
        _complete("WORKER_DATABASE_URLS", self.worker_database_urls, WORKED)
        return self

    @property
    def keys(self) -> tuple[bytes, ...]:
        return keys_of(self.console_key.get_secret_value())

    @property
    def csrf_secrets(self) -> list[str]:
        """The keys for forms' tokens: the first signs, all are accepted."""
        return [
            hmac.new(key, b"clinicpay console csrf tokens", hashlib.sha256).hexdigest() for key in self.keys
        ]

    @property
    def https(self) -> bool:
        return self.console_url.scheme == "https"

    @property
    def origin(self) -> str:
        parts = urlsplit(str(self.console_url))
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def access(self) -> Access:
        """How to read the installation."""
        return Access(
            databases={name: url.get_secret_value() for name, url in self.ops_database_urls.items()},
            kafka=self.kafka_bootstrap_servers,
            stripe_secret_key=self.stripe_secret_key.get_secret_value() if self.stripe_secret_key else None,
            stripe_api_base=self.stripe_api_base,
            kafka_security=self.kafka_security,
        )


def _complete(name: str, urls: dict[str, Any], services: tuple[str, ...]) -> None:
    if missing := set(services) - urls.keys():
        raise ValueError(f"{name} lacks {', '.join(sorted(missing))}")
