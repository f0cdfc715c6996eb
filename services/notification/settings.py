"""Settings of the notification service."""

from email.headerregistry import Address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, TypeAdapter, model_validator

from contracts import pay_links
from contracts.pay_links import PayLinks
from services.chassis.settings import ServiceSettings
from services.chassis.signing import SigningKeys, keys_of


def _smtp_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError(
            "must be smtp://[user:password@]host[:port], or smtps:// for TLS from the first byte"
        )
    if parts.port is not None and parts.port < 1:
        raise ValueError("must have a port above 0")
    return value


def _address(value: str) -> str:
    address = Address(addr_spec=value)
    if not address.username or "." not in address.domain or not value.isascii():
        raise ValueError("must be a bare e-mail address, such as billing@example.com")
    return value


def _web_url(value: str) -> str:
    TypeAdapter(HttpUrl).validate_python(value)
    return value.rstrip("/")


class Settings(ServiceSettings):
    """The worker sends through `smtp_url`, as `mail_from`; links lead to `portal_url`."""

    smtp_url: Annotated[str, AfterValidator(_smtp_url)]
    mail_from: Annotated[str, AfterValidator(_address)]
    portal_url: Annotated[str, AfterValidator(_web_url)]

    smtp_connections: Annotated[int, Field(ge=1, le=50)] = 4
    """The most that a worker keeps to the mail server; few e-mails go over one."""

    mail_paused: bool = False
    """E-mails are queued and none is sent, until the worker is started without this."""

    pay_link_key: SigningKeys
    """Signs the links in e-mails that open one invoice. The same as the gateway's."""
    pay_link_days: Annotated[int, Field(ge=1, le=pay_links.MOST_DAYS)] = pay_links.DAYS
    """How long such a link works."""

    invoice_url: Annotated[str, AfterValidator(_web_url)] | None = None
    document_token_private_key: SecretStr | None = None
    """With both, the worker fetches the documents that clinics want to be attached; without, no e-mail has one."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.invoice_url is None) != (self.document_token_private_key is None):
            raise ValueError("INVOICE_URL and DOCUMENT_TOKEN_PRIVATE_KEY are given both, or neither")
        return self

    @property
    def pay_links(self) -> PayLinks:
        return PayLinks(keys_of(self.pay_link_key.get_secret_value()), self.pay_link_days)
