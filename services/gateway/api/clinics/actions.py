"""Clinics over the public API: put on, changed and read by calls to the services."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from contracts.http.accounts import AccountOut
from contracts.http.clinics import ClinicIn, ClinicOut
from services.chassis.http.auth import Caller
from services.gateway.api.clinics.schemas import ClinicAnswer
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.operations.actions import Operations
from services.gateway.api.operations.plans import ChangeClinic, CreateClinic
from services.gateway.upstream.services import Upstreams


async def create_clinic(
    operations: Operations, upstreams: Upstreams, caller: Caller, new: ClinicIn, request: IdempotentRequest
) -> None:
    """Put the caller's clinic on. One that is there stays as it is."""
    if await operations.was_carried_out(caller, caller.clinic, request):
        return
    await upstreams.create_clinic(caller, caller.clinic, new, check=True)
    await operations.carry_out(caller, caller.clinic, CreateClinic(new), request)


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


def _clinic_answer(clinic: ClinicOut, account: AccountOut) -> ClinicAnswer:
    return ClinicAnswer(
        **msgspec.structs.asdict(clinic),
        stripe_account_id=account.stripe_account_id,
        platform_account=account.platform_account,
    )
