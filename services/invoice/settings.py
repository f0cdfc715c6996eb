"""Settings of the invoice service."""

from services.chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Nothing beyond what every service reads."""
