"""Keys that sign, as settings have them: several, separated by commas, while one is replaced."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr

SHORTEST_KEY = 32


def keys_of(setting: str) -> tuple[bytes, ...]:
    """The keys in a setting: the first signs, all verify."""
    parts = (part.strip() for part in setting.split(","))
    return tuple(part.encode() for part in parts if part)


def _long_enough(given: SecretStr) -> SecretStr:
    keys = keys_of(given.get_secret_value())
    if not keys or any(len(key) < SHORTEST_KEY for key in keys):
        raise ValueError(f"each key needs at least {SHORTEST_KEY} characters")
    return given


SigningKeys = Annotated[SecretStr, AfterValidator(_long_enough)]
"""The type of a setting that holds keys."""
