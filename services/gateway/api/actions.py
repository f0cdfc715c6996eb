"""What the public API composes from the services' idempotent calls."""

from collections.abc import Awaitable, Mapping
from typing import Any, Literal, TypeVar
from uuid import UUID, uuid5

import msgspec

from contracts.http.accounts import AccountOut
from contracts.http.clients import ClientIn, ClientOut
from contracts.http.clinics import ClinicIn, ClinicOut
from contracts.http.contacts import ContactIn
from contracts.http.credit import CreditOut
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.accounts import actions
from services.gateway.accounts.passwords import Passwords
from services.gateway.api import key_actions as api_keys
from services.gateway.api.key_store import ApiKey
from services.gateway.api.key_uses import KeyUse
from services.gateway.api.operations import Operations
from services.gateway.api.plans import ChangeClient, ChangeClinic, CreateClient, CreateClinic, NewLogin
from services.gateway.api.schemas import (
    ClientAnswer,
    ClinicAnswer,
    MadeApiKey,
    NewApiKey,
    NewClient,
    NewStaff,
)
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import Upstreams

_NAMES = UUID("6f0e0a53-6a0b-5c9e-8f0e-2d8f6f1c7b11")
_OF_CONTACT = ("email", "name", "language")
_OF_CLIENT = ("name", "billing_address")
NO_CREDIT = CreditOut(balances=[], refundable=[], payments=[], refunds=[])

T = TypeVar("T")


def derived_id(key: ApiKey, kind: str, idempotency_key: str, clinic_id: UUID | None = None) -> UUID:
    """The id that this request names its thing by, everywhere, each time it is sent."""
    return uuid5(_NAMES, "\x1f".join((str(key.id), kind, str(clinic_id or ""), idempotency_key)))


class ApiKeyMade(DomainError):
    code = "api_key_already_made"


async def create_clinic(
    operations: Operations, upstreams: Upstreams, caller: Caller, new: ClinicIn, use: KeyUse
) -> None:
    """Put the caller's clinic on. One that is there stays as it is."""
    if await operations.was_carried_out(caller, caller.clinic, use):
        return
    await upstreams.create_clinic(caller, caller.clinic, new, check=True)
    await operations.carry_out(caller, caller.clinic, CreateClinic(new), use)


async def change_clinic(
    operations: Operations,
    upstreams: Upstreams,
    caller: Caller,
    method: Literal["PUT", "PATCH"],
    settings: Mapping[str, Any],
) -> ClinicAnswer:
    """Change the caller's clinic's settings. The portal's address is the gateway's too."""
    account = await upstreams.account(caller)
    if "slug" in settings:
        await upstreams.change_clinic(caller, method, settings, check=True)
        await operations.carry_out(caller, caller.clinic, ChangeClinic(method, dict(settings)))
        return _clinic_answer(await upstreams.clinic(caller, fresh=True), account)
    return _clinic_answer(await upstreams.change_clinic(caller, method, settings), account)


async def get_clinic(upstreams: Upstreams, caller: Caller) -> ClinicAnswer:
    clinic = await upstreams.clinic(caller)
    return _clinic_answer(clinic, await upstreams.account(caller))


async def create_client(
    operations: Operations,
    upstreams: Upstreams,
    passwords: Passwords,
    caller: Caller,
    client_id: UUID,
    new: NewClient,
    use: KeyUse,
) -> None:
    """Add a client, its contact and its login. A client that is there stays as it is."""
    if await operations.was_carried_out(caller, client_id, use):
        return
    contact = ContactIn(email=new.email, name=new.name, language=new.language)
    client = ClientIn(name=new.name, billing_address=new.billing_address)
    _, is_new = await upstreams.create_client(caller, client_id, client, check=True)
    _, contact_is_new = await upstreams.create_contact(caller, client_id, contact, check=True)
    login = None
    if new.login is not None and is_new:
        login = NewLogin(new.email, await passwords.hash(new.login.password))
    plan = CreateClient(contact, client, login, contact_is_new and is_new)
    await operations.carry_out(caller, client_id, plan, use)


async def change_client(
    operations: Operations, upstreams: Upstreams, caller: Caller, client_id: UUID, patch: Mapping[str, Any]
) -> None:
    """Change some of a client: name and address in invoice, name, e-mail and language in notification."""
    contact = {name: patch[name] for name in _OF_CONTACT if name in patch}
    client = {name: patch[name] for name in _OF_CLIENT if name in patch}
    await upstreams.change_client(caller, client_id, client, check=True)
    if contact:
        await upstreams.change_contact(caller, client_id, contact, check=True)
    await operations.carry_out(caller, client_id, ChangeClient(contact, client))


async def get_client(upstreams: Upstreams, caller: Caller, client_id: UUID) -> ClientAnswer:
    """The client with its contact's e-mail and language, if there is a contact."""
    client = await upstreams.client(caller, client_id)
    contact = await _if_there(upstreams.contact(caller, client_id))
    if contact is None:
        return _client_answer(client, None, None)
    return _client_answer(client, contact.email, contact.language)


async def get_credit(upstreams: Upstreams, caller: Caller, client_id: UUID) -> CreditOut:
    """A client's credit; empty for one who is known here and never paid online."""
    await upstreams.client(caller, client_id)
    return await _if_there(upstreams.client_credit(caller, client_id)) or NO_CREDIT


async def create_staff(
    db: Database, passwords: Passwords, caller: Caller, new: NewStaff, use: KeyUse
) -> None:
    """Let someone of the clinic's staff sign in, once for a key."""
    hashed = await passwords.hash(new.password)
    async with db.tx(caller.clinic, operator=True) as tx:
        if await use.claim(tx) == "none":
            await actions.put_login(
                tx, email=new.email, password_hash=hashed, caller=caller, client_id=None, role="staff"
            )


async def create_api_key(db: Database, caller: Caller, new: NewApiKey, use: KeyUse) -> MadeApiKey:
    """A key for the caller's clinic, or an operator's, shown this once. Raises `ApiKeyMade`."""
    async with db.tx(caller.clinic, operator=True) as tx:
        if await use.claim(tx) != "none":
            raise ApiKeyMade(
                "This request has made its key, which is shown once. Use a new Idempotency-Key for another."
            )
        made = await api_keys.make(tx, caller, new.name)
    return MadeApiKey(made.id, made.name, made.secret)


async def _if_there(asked: Awaitable[T]) -> T | None:
    """The answer; None when the service knows of nothing."""
    try:
        return await asked
    except UpstreamError as error:
        if error.status != 404:
            raise
        return None


def _clinic_answer(clinic: ClinicOut, account: AccountOut) -> ClinicAnswer:
    return ClinicAnswer(
        **msgspec.structs.asdict(clinic),
        stripe_account_id=account.stripe_account_id,
        platform_account=account.platform_account,
    )


def _client_answer(client: ClientOut, email: str | None, language: str | None) -> ClientAnswer:
    return ClientAnswer(**msgspec.structs.asdict(client), email=email, language=language)
