"""A new password for who forgot the old one.

The request writes what was typed, and nothing else: its time and its answer are the same for an address with a login
and without. A job looks for the login afterwards.
"""

from datetime import timedelta

from services.chassis.db.database import Connection, Database
from services.chassis.ids import new_id
from services.gateway.accounts import actions as accounts
from services.gateway.accounts import store
from services.gateway.accounts.letters import actions as letters
from services.gateway.accounts.letters import store as letter_store
from services.gateway.accounts.letters.domain import Letter
from services.gateway.accounts.links import domain as links
from services.gateway.accounts.links import store as link_store
from services.gateway.accounts.links.domain import Link, LinkEnded
from services.gateway.accounts.passkeys import store as passkeys
from services.gateway.accounts.passwords import Passwords
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits import domain
from services.gateway.accounts.requests import store as requests
from services.gateway.accounts.requests.domain import MailRequest, as_typed, query_of
from services.gateway.accounts.store import Login

_LONG_ENOUGH = timedelta(minutes=10)
"""A link that works for less time is none to count on."""


async def ask(db: Database, email: str, target: str, address: str) -> None:
    """Keep the request for the job. Raises `TooManyTries` for the address that asks, whatever it typed."""
    await limits.count(db, domain.reset_limits(address))
    typed = as_typed(email)
    async with db.tx(None) as tx:
        await requests.add_request(tx, new_id(), MailRequest(typed, target, domain.asker_of(typed, address)))


async def answer(tx: Connection, login: Login, request: MailRequest) -> None:
    """Prepare the letter. A request too many gets none, and the link of the last letter stays good.

    The caller has locked the login.
    """
    if not await _may_write(tx, login, request.asker or domain.asker_of(login.email, "")):
        return
    place = await letters.place_of(tx, login.id, request.target)
    if place is None:
        return
    link_id, lasts = new_id(), links.LIFETIMES["reset"]
    await link_store.add_link(tx, link_id, "reset", login.id, login.email, lasts)
    path = f"/password/{links.TOKEN}{query_of(request.target, place)}"
    letter = Letter(new_id(), place.clinic_id, "password_reset", login.email, path, link_id)
    await letter_store.add_letter(tx, letter, lasts)


async def _may_write(tx: Connection, login: Login, asker: bytes) -> bool:
    """Whether the mailbox gets one more letter. It does where no link there works, however many were asked for.

    So strangers fill no mailbox, and its owner finds a link in it or gets one.
    """
    if await limits.is_letter_allowed(tx, domain.reset_letter_limits(login.email, asker)):
        return True
    return not await link_store.has_link(tx, "reset", login.id, _LONG_ENOUGH)


async def find(db: Database, token: str) -> Login:
    """The login of the link. Changes nothing: programs open links that are mailed. Raises `LinkEnded`."""
    async with db.tx(None) as tx:
        return await _usable(tx, await link_store.get_link(tx, "reset", links.hash_of(token)))


async def choose_password(db: Database, passwords: Passwords, token: str, password: str) -> None:
    """Use up the link, and give its login the password. Raises `LinkEnded`, and nothing has changed then.

    All sessions and passkeys of the login end, and its address is written to. Codes that were typed wrong before count
    no more: who knew the old password may have used up the owner's tries.
    """
    await find(db, token)
    hashed = await passwords.hash(password)
    async with db.tx(None, operator=True) as tx:
        login = await _usable(tx, await link_store.use_link(tx, "reset", links.hash_of(token)))
        await accounts.choose_password(tx, login.id, hashed)
        await passkeys.delete_passkeys_of(tx, login.id)
        await limits.give_back(tx, domain.code_limits(login.id), domain.code_gift(login.id))
        await letters.tell(tx, login, "password_changed")
    await accounts.note(db, login.id, "reset_password")


async def _usable(tx: Connection, link: Link | None) -> Login:
    login = await store.get_login_by_id(tx, link.login_id) if link and link.login_id else None
    if login is None or login.disabled:
        raise LinkEnded
    return login
