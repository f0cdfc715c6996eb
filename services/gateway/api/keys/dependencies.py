"""API keys: who calls the public API, and for which clinics."""

from uuid import UUID

from litestar.di import NamedDependency

from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.http.app import json_only
from services.chassis.http.auth import Caller
from services.chassis.http.problems import AnyRequest
from services.gateway.api.keys import actions
from services.gateway.api.keys.domain import ApiKey

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


async def authenticate(request: AnyRequest) -> None:
    """Refuse what is not JSON, then a caller without a valid key, before the body is read.

    Raises `MediaTypeUnsupported`, `ApiKeyInvalid`. OPTIONS is answered by the framework, for any caller.
    """
    await json_only(request)
    if request.method != "OPTIONS":
        request.state.api_key = await _key_of(request, request.app.state.db)


def api_key(request: AnyRequest) -> ApiKey:
    """The caller's key, which `authenticate` has found."""
    found: ApiKey = request.state.api_key
    return found


async def _key_of(request: AnyRequest, db: Database) -> ApiKey:
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
