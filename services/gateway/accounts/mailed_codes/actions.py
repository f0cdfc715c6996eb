"""A code by e-mail in place of the password: asked for by anybody, good in the browser that asked alone.

A request writes what was typed, and a step of the browser: its time and its answer are the same for an address with a
login and without. A job looks for the login afterwards (`requests`). A login's second factor is asked for after the
code as after the password.
"""

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.gateway.accounts import store
from services.gateway.accounts.devices.actions import Devices
from services.gateway.accounts.devices.domain import Browser
from services.gateway.accounts.letters import actions as letters
from services.gateway.accounts.letters import store as letter_store
from services.gateway.accounts.letters.domain import Letter
from services.gateway.accounts.links import domain as links
from services.gateway.accounts.links import store as link_store
from services.gateway.accounts.links.domain import Link, LinkEnded
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits import domain
from services.gateway.accounts.requests import store as requests
from services.gateway.accounts.requests.domain import MailRequest, as_typed, query_of
from services.gateway.accounts.sealing import MailedCodes
from services.gateway.accounts.steps import actions as steps
from services.gateway.accounts.steps import store as step_store
from services.gateway.accounts.steps.domain import Step
from services.gateway.accounts.store import Login
from services.gateway.web.limits import address_of

AnyRequest = Request[Any, Any, Any]


class WrongMailedCode(DomainError):
    """Also where no letter was sent: the answer is the same."""

    code = "wrong_code"
    status = 401


async def ask(db: Database, devices: Devices, request: AnyRequest, email: str, target: str) -> Cookie:
    """Keep the request for the job, bound to this browser by the cookie.

    Raises `TooManyTries` for the address that asks, whatever it typed.
    """
    address = address_of(request.scope)
    await limits.count(db, domain.reset_limits(address))
    typed = as_typed(email)
    known = tuple(devices.shown(request).values())
    async with db.tx(None) as tx:
        step_hash, cookie = await steps.begin_code(tx, request, devices.https, typed)
        asker = domain.asker_of(typed, address)
        await requests.add_request(tx, new_id(), MailRequest(typed, target, asker, step_hash, known))
    return cookie


async def answer(tx: Connection, login: Login, request: MailRequest, step_hash: bytes) -> None:
    """Prepare the letter. A request too many gets none, and the code of the browser's last letter stays good.

    The caller has locked the login.
    """
    if not await step_store.keep_step(tx, step_hash) or not await _may_write(tx, login, request):
        return
    place = await letters.place_of(tx, login.id, request.target)
    if place is None:
        return
    link_id, lasts = new_id(), links.LIFETIMES["login_code"]
    await link_store.add_link(tx, link_id, "login_code", login.id, login.email, lasts, step_hash)
    path = f"/login/link/{links.TOKEN}{query_of(request.target, place)}"
    letter = Letter(new_id(), place.clinic_id, "login_code", login.email, path, link_id)
    await letter_store.add_letter(tx, letter, lasts)


async def _may_write(tx: Connection, login: Login, request: MailRequest) -> bool:
    """Whether the mailbox gets one more letter.

    Strangers use up no letters of a browser that the login knows.
    """
    name = Browser("", request.devices).name_at(login.id, login.device_generation, login.email)
    asker = request.asker or domain.asker_of(login.email, "")
    limited = domain.known_code_limits(name) if name else domain.code_letter_limits(login.email, asker)
    return await limits.is_letter_allowed(tx, limited)


async def find(db: Database, step: Step, token: str) -> Link:
    """The link that was sent to this browser. Changes nothing: programs open links that are mailed.

    Raises `LinkEnded`.
    """
    async with db.tx(None) as tx:
        link = await link_store.get_link(tx, "login_code", links.hash_of(token), step.id_hash)
        await _usable(tx, link)
    assert link is not None, "usable"
    return link


async def use_link(db: Database, step: Step, token: str) -> Login:
    """Use up the link in the browser that asked; its login. Raises `LinkEnded`."""
    async with db.tx(None) as tx:
        return await _usable(
            tx, await link_store.use_link(tx, "login_code", links.hash_of(token), step.id_hash)
        )


async def use_code(db: Database, codes: MailedCodes, step: Step, typed: str, address: str) -> Login:
    """Use up the code in the browser that asked; its login. Raises `WrongMailedCode`, `TooManyTries`.

    Tries are counted by step, so that no stranger uses up the owner's.
    """
    limited = domain.mailed_code_limits(step.id_hash, address)
    await limits.count(db, limited)
    try:
        async with db.tx(None) as tx:
            login = await _usable(tx, await link_store.use_code(tx, step.id_hash, codes.hashes(typed)))
    except LinkEnded:
        raise WrongMailedCode(
            "The code is not right, or it has ended. Type the one in the newest e-mail."
        ) from None
    await limits.return_tries(db, limited)
    return login


async def _usable(tx: Connection, link: Link | None) -> Login:
    login = await store.get_login_by_id(tx, link.login_id) if link and link.login_id else None
    if login is None or login.disabled:
        raise LinkEnded
    return login
