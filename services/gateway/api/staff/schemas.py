"""Bodies of the public API about staff."""

import msgspec

from contracts.http.common import Request
from services.gateway.api.schemas import Password


class NewStaff(Request, frozen=True, kw_only=True):
    email: str
    password: Password


class Staff(msgspec.Struct):
    email: str
    role: str = "staff"
