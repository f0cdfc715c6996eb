"""What the public API composes from the services' idempotent calls. A retry with the same key completes it."""

import hashlib
from typing import TypeVar
from uuid import UUID, uuid5

import msgspec

from services.chassis.auth import Caller
from services.chassis.db import Database
from services.chassis.errors import DomainError
from services.chassis.idempotency import IdempotencyKeyReused
from services.gateway import actions, store
from services.gateway.accounts import Role
from services.gateway.api.shapes import (
    ClientAnswer,
    ClinicAnswer,
    CreatedApiKey,
    NewApiKey,
    NewClient,
    NewClinic,
    NewStaff,
)
from services.gateway.calls import UpstreamError
from services.gateway.passwords import Passwords
from services.gateway.shapes import Account, Client, ClientCredit, ClientIn, Clinic, ClinicIn, ContactIn
from services.gateway.store import ApiKey
from services.gateway.upstreams import Upstreams

_NAMES = UUID("6f0e0a53-6a0b-5c9e-8f0e-2d8f6f1c7b11")
_CLINIC_FIELDS = ClinicIn.__struct_fields__

T = TypeVar("T")


class BodyInvalid(DomainError):
    code = "request_invalid"
    status = 400


def strictly(body: bytes, shape: type[T]) -> T:
    """The body as JSON says it: Litestar's own reading takes "125" for 125, and money is no place for that."""
    if b"\\u0000" in body:
        raise BodyInvalid("No text may hold a NUL character.")
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        detail = (
            str(error)
            if isinstance(error, msgspec.ValidationError)
            else "The body is not JSON as we read it."
        )
        raise BodyInvalid(detail) from None


def derived_id(key: ApiKey, kind: str, idempotency_key: str, clinic_id: UUID | None = None) -> UUID:
    """The id that this request names its thing by, everywhere, each time it is sent."""
    return uuid5(_NAMES, "\x1f".join((str(key.id), kind, str(clinic_id or ""), idempotency_key)))


class ApiKeyMade(DomainError):
    code = "api_key_already_made"


class KeyUse:
    """Which body an idempotency key came with. Kept when the work is done: until then another body may mend it."""

    def __init__(self, key: ApiKey, name: str, body: bytes) -> None:
        self._key, self._name = key, name
        self._fingerprint = hashlib.sha256(body).digest()

    async def is_done(self, db: Database) -> bool:
        """Whether this very request was done before: then nothing is to be put again, or what was changed since
        would be undone. Raises `IdempotencyKeyReused`.
        """
        async with db.tx(None) as tx:
            earlier = await store.get_key_use(tx, self._key.id, self._name)
        if earlier is not None and earlier != self._fingerprint:
            raise IdempotencyKeyReused("This Idempotency-Key was used with another body. Use a new key.")
        return earlier is not None

    async def keep(self, db: Database) -> None:
        async with db.tx(None) as tx:
            await store.add_key_use(tx, self._key.id, self._name, self._fingerprint)


async def put_clinic(
    db: Database, upstreams: Upstreams, caller: Caller, clinic_id: UUID, new: NewClinic
) -> ClinicAnswer:
    """The clinic's account (payment) first, so that it never charges on another; then settings and address."""
    async with db.tx(clinic_id, operator=True) as tx:
        await actions.check_slug(tx, clinic_id, new.slug)
    account = await upstreams.put_account(caller, Account(new.stripe_account_id))
    settings = ClinicIn(**{name: getattr(new, name) for name in _CLINIC_FIELDS})
    clinic = await upstreams.put_clinic(caller, clinic_id, settings)
    async with db.tx(clinic_id, operator=True) as tx:
        await actions.put_portal(tx, caller, new.slug)
    return _clinic_answer(clinic, account)


async def get_clinic(upstreams: Upstreams, caller: Caller) -> ClinicAnswer:
    clinic = await upstreams.clinic(caller)
    return _clinic_answer(clinic, await upstreams.account(caller))


async def put_client(
    db: Database, upstreams: Upstreams, passwords: Passwords, caller: Caller, client_id: UUID, new: NewClient
) -> ClientAnswer:
    """The contact first, since a delivery without one waits; then the client, then the login."""
    contact = await upstreams.put_contact(caller, client_id, ContactIn(new.email, new.name, new.language))
    client = await upstreams.put_client(caller, client_id, ClientIn(new.name, new.billing_address))
    if new.login is not None:
        await _put_login(db, passwords, caller, "client", new.email, new.login.password, client_id)
    return client_answer(client, contact.email, contact.language)


async def get_client(upstreams: Upstreams, caller: Caller, client_id: UUID) -> ClientAnswer:
    """The client with its contact's e-mail and language, if there is a contact."""
    client = await upstreams.client(caller, client_id)
    try:
        contact = await upstreams.contact(caller, client_id)
    except UpstreamError as error:
        if error.status != 404:
            raise
        return client_answer(client, None, None)
    return client_answer(client, contact.email, contact.language)


async def get_credit(upstreams: Upstreams, caller: Caller, client_id: UUID) -> ClientCredit:
    """A client's credit; empty for one who is known here and never paid online."""
    await upstreams.client(caller, client_id)
    try:
        return await upstreams.client_credit(caller, client_id)
    except UpstreamError as error:
        if error.status != 404:
            raise
        return ClientCredit()


async def put_staff(db: Database, passwords: Passwords, caller: Caller, new: NewStaff) -> None:
    """Let someone of the clinic's staff sign in."""
    await _put_login(db, passwords, caller, "staff", new.email, new.password, None)


async def create_api_key(db: Database, caller: Caller, new: NewApiKey) -> CreatedApiKey:
    """A key for one clinic, shown this once."""
    async with db.tx(caller.clinic, operator=True) as tx:
        return CreatedApiKey(new.name, await actions.create_api_key(tx, caller, new.name))


async def _put_login(
    db: Database,
    passwords: Passwords,
    caller: Caller,
    role: Role,
    email: str,
    password: str,
    client_id: UUID | None,
) -> None:
    hashed = await passwords.hash(password)
    async with db.tx(caller.clinic, operator=caller.role == "operator") as tx:
        await actions.put_login(
            tx, email=email, password_hash=hashed, caller=caller, client_id=client_id, role=role
        )


def _clinic_answer(clinic: Clinic, account: Account) -> ClinicAnswer:
    return ClinicAnswer(**msgspec.structs.asdict(clinic), stripe_account_id=account.stripe_account_id)


def client_answer(client: Client, email: str | None, language: str | None) -> ClientAnswer:
    return ClientAnswer(**msgspec.structs.asdict(client), email=email, language=language)
