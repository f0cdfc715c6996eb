"""Settings of the payment service."""

from typing import Annotated

from pydantic import Field, SecretStr

from services.chassis.settings import ServiceSettings
from services.chassis.signing import SigningKeys
from services.payment.payments import starting
from services.payment.payments.starting import ClientLimits
from services.payment.stripe import budget
from services.payment.stripe.budget import Budget
from services.payment.stripe.seal import Seal


class Settings(ServiceSettings):
    """The settings of every service, and the access to Stripe.

    `stripe_webhook_secret` may hold several, separated by commas, while one is being replaced.
    """

    stripe_secret_key: SecretStr
    stripe_webhook_secret: SecretStr
    stripe_api_base: Annotated[str, Field(pattern=r"^https?://")] = "https://api.stripe.com"
    stripe_timeout_seconds: Annotated[float, Field(gt=0, le=80)] = 20

    declines_per_hour: Annotated[int, Field(ge=1)] = starting.MOST_DECLINES
    """After so many declines a client can start no payment for an hour."""

    starts_per_hour: Annotated[int, Field(ge=1)] = starting.MOST_STARTS
    """After so many presses of Pay a client can start no payment until the hour is over."""
    stripe_calls_per_second: Annotated[int, Field(ge=4)] = budget.PLATFORM_A_SECOND
    """Requests of this process to Stripe in any second. Divide what Stripe allows by the number of processes."""
    stripe_calls_per_second_of_account: Annotated[int, Field(ge=4)] = budget.ACCOUNT_A_SECOND
    """The same for each account."""

    installation: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    """The installation's name in the metadata of its objects at Stripe. Never change it."""
    metadata_key: SigningKeys
    """Signs the metadata of its objects at Stripe. Several, separated by commas, while it is replaced: the first signs,
    all verify."""

    @property
    def client_limits(self) -> ClientLimits:
        return ClientLimits(self.starts_per_hour, self.declines_per_hour)

    @property
    def budget(self) -> Budget:
        return Budget(self.stripe_calls_per_second, self.stripe_calls_per_second_of_account)

    @property
    def seal(self) -> Seal:
        return Seal.of(self.installation, self.metadata_key.get_secret_value())

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return _parts(self.stripe_webhook_secret)


def _parts(several: SecretStr) -> tuple[str, ...]:
    return tuple(part.strip() for part in several.get_secret_value().split(",") if part.strip())
