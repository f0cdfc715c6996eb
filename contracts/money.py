"""Money as it crosses every boundary: integer minor units and an ISO 4217 currency. Never a float."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

LARGEST_MINOR = 2**53 - 1
"""The largest amount that every JSON reader, JavaScript's included, keeps to the cent."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Money(BaseModel):
    """An amount in minor units (cents for EUR, yen for JPY, fils for KWD). May be negative."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    minor: int = Field(strict=True, ge=-LARGEST_MINOR, le=LARGEST_MINOR)
    currency: Currency

    def __add__(self, other: Self) -> Self:
        return self._with(self.minor + other.minor, other)

    def __sub__(self, other: Self) -> Self:
        return self._with(self.minor - other.minor, other)

    def __neg__(self) -> Self:
        return type(self)(minor=-self.minor, currency=self.currency)

    def _with(self, minor: int, other: Self) -> Self:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
        return type(self)(minor=minor, currency=self.currency)
