"""Settings of the invoice service."""

from services.chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of every service, and the key of notification, which reads documents too."""

    document_token_public_key: str | None = None
    """Checks the tokens by which notification reads documents; without it notification cannot."""
