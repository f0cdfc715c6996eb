"""Internal tokens: who a request is made for. The gateway signs them, the services hold the public key only.

Another service may sign some for itself, under a key of its own, for the routes that name it as `other_caller`.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from services.chassis.errors import DomainError
from services.chassis.http.keys import keys_in

Role = Literal["client", "staff", "operator"]
GATEWAY = "gateway"
LIFETIME_SECONDS = 60
LEEWAY_SECONDS = 30
"""How far the clocks of a gateway and a service may differ."""
_MOST_KEPT = 10_000
"""Tokens that are remembered: signing one takes 60 µs of CPU and checking one 150, as much as a small request."""
_ALGORITHMS = ["Ed25519", "EdDSA"]

K = TypeVar("K")
V = TypeVar("V")

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class Caller(msgspec.Struct, frozen=True):
    """On whose behalf a request is made. For a client, `subject` is the client's id in the clinic."""

    subject: UUID
    role: Role
    clinic_id: UUID | None = None

    @property
    def clinic(self) -> UUID:
        """The clinic. Raises `ClinicMissing` for an operator who has not named one."""
        if self.clinic_id is None:
            raise ClinicMissing("This needs a clinic.")
        return self.clinic_id


class NotSignedIn(DomainError):
    code = "token_invalid"
    status = 401


class ClockSkew(DomainError):
    """Two machines' clocks differ by more than is tolerated."""

    code = "clock_skew"
    status = 401


class NotAllowed(DomainError):
    code = "not_allowed"
    status = 403


class ClinicMissing(DomainError):
    code = "clinic_missing"
    status = 400


class TokenMint:
    """Signs tokens. `private_key` is a JWK of an Ed25519 key as JSON, or a set of which the first signs."""

    def __init__(self, private_key: str, issuer: str = GATEWAY) -> None:
        self._issuer = issuer
        self._key = OKPKey.import_key(msgspec.json.decode(keys_in(private_key)[0]))
        self.kept: dict[tuple[str, Caller], tuple[str, float]] = {}

    def token(self, *, audience: str, caller: Caller) -> str:
        """A token for one service, good for at least half a minute and at most a whole one."""
        token, kept_until = self.kept.get((audience, caller), ("", 0.0))
        now = int(time.time())
        if now < kept_until:
            return token
        token = self._signed(audience, caller, now)
        _keep(self.kept, (audience, caller), (token, now + LIFETIME_SECONDS / 2))
        return token

    def _signed(self, audience: str, caller: Caller, now: int) -> str:
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": str(caller.subject),
            "role": caller.role,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        if caller.clinic_id is not None:
            claims["clinic"] = str(caller.clinic_id)
        return jwt.encode({"alg": "Ed25519"}, claims, self._key, algorithms=_ALGORITHMS)


class TokenCheck:
    """Verifies tokens meant for one service. `public_key` is a JWK as JSON, or a set: a token is good by any of them.

    A token of an issuer whose clock differs by up to `LEEWAY_SECONDS` is good.
    """

    def __init__(self, public_key: str, audience: str, issuer: str = GATEWAY) -> None:
        self._keys = [OKPKey.import_key(msgspec.json.decode(key)) for key in keys_in(public_key)]
        self.kept: dict[str, tuple[Caller, float]] = {}
        self._registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            role={"essential": True},
        )

    def caller(self, authorization: str | None) -> Caller:
        """Whom an Authorization header speaks for. Raises `NotSignedIn`."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedIn("Send an internal token.")
        caller, expires = self.kept.get(token, (None, 0.0))
        if caller is None or time.time() >= expires + LEEWAY_SECONDS:
            caller, expires = self._checked(token)
            _keep(self.kept, token, (caller, expires))
        return caller

    def _decoded(self, token: str) -> dict[str, Any]:
        """The claims by the first key that signed them. Raises `JoseError`."""
        *others, last = self._keys
        for key in others:
            with suppress(JoseError):
                return jwt.decode(token, key, algorithms=_ALGORITHMS).claims
        return jwt.decode(token, last, algorithms=_ALGORITHMS).claims

    def _checked(self, token: str) -> tuple[Caller, float]:
        try:
            claims = self._decoded(token)
            made, expires = float(claims.get("iat", 0)), float(claims.get("exp", 0))
            if not 0 < expires - made <= LIFETIME_SECONDS:
                raise NotSignedIn("This token has no lifetime of ours.")
            _check_clock(made, expires)
            self._registry.validate(claims)
            named = {"subject": claims["sub"], "role": claims["role"], "clinic_id": claims.get("clinic")}
            return msgspec.convert(named, Caller, strict=False), float(claims["exp"])
        except (JoseError, ValueError, TypeError):
            raise NotSignedIn("This token is not valid here.") from None


def _check_clock(made: float, expires: float) -> None:
    """Raise `ClockSkew` for a token that a gateway of ours signed at a time which its clock alone has."""
    now = time.time()
    ahead, behind = made - now, now - expires
    if max(ahead, behind) > LEEWAY_SECONDS:
        words = f"{ahead:.0f} s ahead of" if ahead > behind else f"{behind:.0f} s or more behind"
        raise ClockSkew(f"The gateway's clock is {words} this service's: set the clocks.")


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Remember, and forget everything when that has become much: nothing here lasts longer than a minute anyway."""
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[key] = value


def caller_of(connection: AnyConnection) -> Caller:
    """Whom the request is made for. Checked once a request."""
    state = connection.scope.setdefault("state", {})
    caller = state.get("caller")
    if not isinstance(caller, Caller):
        caller = state["caller"] = _checked_caller(connection)
    return caller


def _checked_caller(connection: AnyConnection) -> Caller:
    """By the gateway's key, or by that of the one other service that the route is for."""
    check: TokenCheck = connection.app.state.token_check
    others: Mapping[str, TokenCheck] = connection.app.state.other_checks
    other = others.get(connection.scope["route_handler"].opt.get("other_caller", ""))
    authorization = connection.headers.get("authorization")
    try:
        return check.caller(authorization)
    except NotSignedIn:
        if other is None:
            raise
        caller = other.caller(authorization)
        if caller.role != "client":
            raise NotSignedIn("This service speaks for clients alone.") from None
        return caller


async def any_caller(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """The default guard of every route: a valid token. `opt={"public": True}` opens a route to all.

    Guards are coroutines, since Litestar runs a plain function in a thread.
    """
    if not handler.opt.get("public"):
        caller_of(connection)


async def client(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Only a client of a clinic."""
    _require(connection, {"client"})


async def staff(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """A clinic's staff, or the operator."""
    _require(connection, {"staff", "operator"})


async def operator(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Only the operator of the installation."""
    _require(connection, {"operator"})


def _require(connection: AnyConnection, roles: set[str]) -> None:
    if caller_of(connection).role not in roles:
        raise NotAllowed("Your role may not do this.")
