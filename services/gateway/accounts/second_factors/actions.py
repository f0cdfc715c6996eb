"""Codes of an app as a login's second factor: switch it on and off, and check what was typed.

To switch it on takes the password, so that who finds an open session cannot lock its owner out: a set-up belongs to the
session in which the password was typed, and ends with it. A new password leaves it on: who reads somebody's mailbox
does not have their phone.
"""

from contextlib import suppress
from uuid import UUID

import structlog

from contracts.http.letters import LetterTemplate
from services.chassis import audit, clock
from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.accounts import actions as accounts
from services.gateway.accounts import store as logins
from services.gateway.accounts.domain import LoginSession, SignedIn
from services.gateway.accounts.letters import actions as letters
from services.gateway.accounts.passwords import Passwords, normal_email
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits import domain as tries
from services.gateway.accounts.sealing import SealBroken, Sealer
from services.gateway.accounts.second_factors import domain, store
from services.gateway.accounts.second_factors.domain import SecondFactor, Setup, Way

log = structlog.get_logger()

_AT_ONCE = 100


class WrongCode(DomainError):
    code = "wrong_code"
    status = 401


class UsedCode(DomainError):
    """A code of the app that was accepted before."""

    code = "used_code"
    status = 401


class NoSecondFactor(DomainError):
    """There is none, or one already, or its set-up took too long."""

    code = "no_second_factor"


class LoginNotFound(DomainError):
    code = "login_not_found"
    status = 404


async def get(db: Database, login_id: UUID) -> SecondFactor | None:
    async with db.tx(None) as tx:
        return await store.get_factor(tx, login_id)


async def prepare(
    db: Database, passwords: Passwords, sealer: Sealer, here: LoginSession, present: str
) -> None:
    """Make a secret, which a code of the app confirms in this session alone.

    Raises `WrongPassword`, `TooManyTries`, `PasswordKnown`, and `NoSecondFactor` where one is on.
    """
    login_id = here.login_id
    await accounts.check_present(db, passwords, login_id, present)
    async with db.tx(None) as tx:
        await accounts.lock_own(tx, login_id)
        if await store.get_factor(tx, login_id) is not None:
            raise _on()
        sealed = sealer.seal(login_id, domain.new_secret())
        await store.put_setup(tx, login_id, here.id_hash, sealed.secret, domain.SETUP_LASTS)


async def get_setup(
    db: Database, sealer: Sealer, here: LoginSession, email: str, issuer: str
) -> Setup | None:
    """This session's set-up under way, for the app; None without one, also once it is confirmed.

    Raises `NoSecondFactor` for one that no key opens.
    """
    async with db.tx(None) as tx:
        sealed = await store.get_setup(tx, here.login_id, here.id_hash)
    if sealed is None:
        return None
    return domain.setup_of(_opened(sealer, here.login_id, sealed), email, issuer)


async def switch_on(db: Database, sealer: Sealer, here: LoginSession, typed: str) -> tuple[str, ...]:
    """Switch on what was prepared, since the app shows its code, and return the recovery codes: this once.

    All sessions of the login end. Raises `WrongCode`, `TooManyTries`, `NoSecondFactor`, `PasswordKnown`.
    """
    login_id = here.login_id
    async with db.tx(None) as tx:
        await _prepared(tx, sealer, here)
    await limits.count(db, tries.code_limits(login_id))
    async with db.tx(None, operator=True) as tx:
        found = await accounts.lock_own(tx, login_id)
        secret = await _prepared(tx, sealer, here)
        step = domain.step_of(secret, typed[: domain.LONGEST_TYPED], clock.now())
        if step is None:
            raise _wrong()
        await store.delete_setup(tx, login_id)
        if not await store.add_factor(tx, login_id, sealer.seal(login_id, secret), step):
            raise _on()
        codes = await _new_codes(tx, login_id)
        await accounts.end_everywhere(tx, login_id, "everywhere")
        await letters.tell(tx, found, "second_factor_on")
    await limits.return_tries(db, tries.code_limits(login_id))
    await accounts.note(db, login_id, "switch_on_second_factor")
    return codes


async def switch_off(
    db: Database,
    passwords: Passwords,
    sealer: Sealer,
    login: SignedIn,
    present: str,
    typed: str,
) -> None:
    """Switch it off. Raises `WrongPassword`, `WrongCode`, `UsedCode`, `TooManyTries`, `NoSecondFactor`."""
    await accounts.check_present(db, passwords, login.login_id, present)
    await check(db, sealer, login.login_id, typed)
    async with db.tx(None, operator=True) as tx:
        if await store.delete_factor(tx, login.login_id):
            await _tell(tx, login.login_id, "second_factor_off")
    await accounts.note(db, login.login_id, "switch_off_second_factor")


async def renew_codes(
    db: Database,
    passwords: Passwords,
    sealer: Sealer,
    login: SignedIn,
    present: str,
    typed: str,
) -> tuple[str, ...]:
    """New recovery codes in the place of the old ones, which is told to the login's address. Raises as `switch_off`."""
    await accounts.check_present(db, passwords, login.login_id, present)
    await check(db, sealer, login.login_id, typed)
    async with db.tx(None, operator=True) as tx:
        await logins.lock_login(tx, login.login_id)
        if await store.get_factor(tx, login.login_id) is None:
            raise _none()
        codes = await _new_codes(tx, login.login_id)
        await _tell(tx, login.login_id, "recovery_codes_renewed")
    await accounts.note(db, login.login_id, "renew_recovery_codes")
    return codes


async def check(db: Database, sealer: Sealer, login_id: UUID, typed: str) -> Way:
    """Accept a code of the app, or a recovery code, once; of two tries with one code, one succeeds.

    The use of a recovery code is told to the login's address. Who tries has shown the first factor, so the limit lets
    no stranger lock the owner out; the owner is told when the last try was wrong. A try does not count while no key
    opens the app's secret: recovery codes are too long to be guessed.
    Raises `WrongCode`, `UsedCode`, `NoSecondFactor`, `SealBroken`, `TooManyTries`.
    """
    limited = tries.code_limits(login_id)
    is_last = await limits.count(db, limited)
    try:
        async with db.tx(None, operator=True) as tx:
            way = await _accept(tx, sealer, login_id, typed[: domain.LONGEST_TYPED])
    except SealBroken:
        await limits.return_try(db, limited)
        raise
    except (WrongCode, UsedCode):
        if is_last:
            async with db.tx(None, operator=True) as tx:
                await _tell(tx, login_id, "wrong_codes")
        raise
    await limits.return_tries(db, limited)
    return way


async def _accept(tx: Connection, sealer: Sealer, login_id: UUID, typed: str) -> Way:
    factor = await store.get_factor(tx, login_id)
    if factor is None:
        raise _none()
    if await store.use_recovery_code(tx, login_id, domain.hash_of(login_id, typed)):
        await _tell(tx, login_id, "recovery_code_used")
        return "recovery"
    try:
        secret = sealer.open(login_id, factor.sealed)
    except SealBroken:
        log.error("second_factor_unreadable", reason="LOGIN_KEY lacks the key that sealed it")
        raise
    step = domain.step_of(secret, typed, clock.now())
    if step is None:
        raise _wrong()
    if not await store.use_step(tx, login_id, step):
        raise UsedCode("This code was used already. Wait until the app shows the next one, and type that.")
    return "app"


async def remove(tx: Connection, caller: Caller, email: str) -> bool:
    """An operator switches it off for an owner who lost app and recovery codes; False when it was off.

    The login's sessions end, and its address is written to. Raises `LoginNotFound`.
    """
    login = await logins.get_login(tx, normal_email(email))
    if login is None:
        raise LoginNotFound("No login has this e-mail address.")
    await logins.lock_login(tx, login.id)
    if not await store.delete_factor(tx, login.id):
        return False
    await accounts.end_everywhere(tx, login.id, "everywhere")
    await letters.tell(tx, login, "second_factor_off")
    await audit.record(tx, caller, "remove_second_factor", login.id, "on", "off")
    return True


async def seal_again(db: Database, sealer: Sealer) -> None:
    """Seal with the present key what an earlier one sealed. One that no key opens stays as it is."""
    last = UUID(int=0)
    while True:
        async with db.tx(None) as tx:
            found = await store.list_sealed_by_others(tx, sealer.mark, last, _AT_ONCE)
            for login_id, sealed in found:
                with suppress(SealBroken):
                    secret = sealer.open(login_id, sealed)
                    await store.put_sealed(tx, login_id, sealer.seal(login_id, secret))
        if len(found) < _AT_ONCE:
            return
        last = found[-1][0]


async def _prepared(tx: Connection, sealer: Sealer, here: LoginSession) -> str:
    """The secret that this session set up. Raises `NoSecondFactor`, with other words once it is on."""
    sealed = await store.get_setup(tx, here.login_id, here.id_hash)
    if sealed is not None:
        return _opened(sealer, here.login_id, sealed)
    if await store.get_factor(tx, here.login_id) is not None:
        raise _on()
    raise NoSecondFactor("This took too long. Please begin again.")


def _opened(sealer: Sealer, login_id: UUID, sealed: bytes) -> str:
    """The secret of a set-up; one that no key opens is worth nothing, since its owner can begin again."""
    try:
        return sealer.open(login_id, sealed)
    except SealBroken:
        log.warning("second_factor_setup_unreadable", reason="LOGIN_KEY lacks the key that sealed it")
        raise NoSecondFactor("The key on the page does not work any more. Please begin again.") from None


async def _new_codes(tx: Connection, login_id: UUID) -> tuple[str, ...]:
    codes = domain.new_recovery_codes()
    await store.put_recovery_codes(tx, login_id, (domain.hash_of(login_id, code) for code in codes))
    return codes


async def _tell(tx: Connection, login_id: UUID, template: LetterTemplate) -> None:
    found = await logins.get_login_by_id(tx, login_id)
    if found is not None:  # else it was erased meanwhile
        await letters.tell(tx, found, template)


def _wrong() -> WrongCode:
    return WrongCode(domain.WRONG_CODE)


def _on() -> NoSecondFactor:
    """Also for the second of two clicks, whose visitor may never see what the first one was answered."""
    return NoSecondFactor(
        "Codes from an app are on already. If you have not seen your recovery codes, get new ones on Profile: "
        "your password and the next code from the app are enough."
    )


def _none() -> NoSecondFactor:
    return NoSecondFactor("Codes from an app are off.")
