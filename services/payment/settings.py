"""Settings of the payment service."""

from typing import Annotated

from pydantic import Field, SecretStr

from services.chassis.settings import ServiceSettings
from services.payment import starting


class Settings(ServiceSettings):
    """What every service reads, and the access to Stripe.

    `stripe_webhook_secret` may hold several, with commas, while one is being replaced.
    """

    stripe_secret_key: SecretStr
    stripe_webhook_secret: SecretStr
    stripe_api_base: Annotated[str, Field(pattern=r"^https?://")] = "https://api.stripe.com"
    stripe_timeout_seconds: Annotated[float, Field(gt=0, le=80)] = 20

    declines_per_hour: Annotated[int, Field(ge=1)] = starting.MOST_DECLINES
    """How many declines a client may have before no payment is started for an hour."""

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        secrets = self.stripe_webhook_secret.get_secret_value().split(",")
        return tuple(secret.strip() for secret in secrets if secret.strip())
