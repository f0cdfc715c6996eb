"""API keys: who calls the public API, and for which clinics."""

from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency

from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.api.keys import actions
from services.gateway.api.keys.domain import ApiKey
from services.gateway.web.dependencies import Db

CurrentKey = NamedDependency[ApiKey]


class ApiKeyInvalid(DomainError):
    code = "api_key_invalid"
    status = 401


class OperatorOnly(DomainError):
    code = "operator_only"
    status = 403


class ClinicNotFound(DomainError):
    code = "clinic_not_found"
    status = 404


async def api_key(request: Request[Any, Any, Any], db: Db) -> ApiKey:
    """The key of `Authorization: Bearer <api key>`. Raises `ApiKeyInvalid`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 10 <= len(key) <= 200:
        raise ApiKeyInvalid("Send your API key as `Authorization: Bearer <key>`.")
    found = await actions.find(db, key)
    if found is None:
        raise ApiKeyInvalid("This API key is not known, or works no more.")
    return found


def as_operator(key: ApiKey, clinic_id: UUID | None = None) -> Caller:
    """The operator, at a clinic or at none. Raises `OperatorOnly`."""
    if key.role != "operator":
        raise OperatorOnly("This needs an operator's API key.")
    return Caller(subject=key.id, role="operator", clinic_id=clinic_id)


def at_clinic(key: ApiKey, clinic_id: UUID) -> Caller:
    """The key's owner at a clinic. Another clinic is not found, as if there were none."""
    if key.role == "operator":
        return as_operator(key, clinic_id)
    if key.clinic_id != clinic_id:
        raise ClinicNotFound("There is no such clinic.")
    return Caller(subject=key.id, role="staff", clinic_id=clinic_id)
