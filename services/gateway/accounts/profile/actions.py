"""Changes of a login by its owner: the password, the e-mail address, and all its sessions.

Who types the present password may be the clinic that chose it. So a login whose password a clinic knows changes
nothing here: its owner first chooses a password by a link that is e-mailed (`resets`). Otherwise the clinic could take
the login over, and read what another clinic has of the same person.
"""

import structlog

from services.chassis import emails
from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.gateway.accounts import actions as accounts
from services.gateway.accounts import store
from services.gateway.accounts.domain import SignedIn
from services.gateway.accounts.letters import actions as letters
from services.gateway.accounts.letters import store as letter_store
from services.gateway.accounts.letters.domain import Letter
from services.gateway.accounts.links import domain as links
from services.gateway.accounts.links import store as link_store
from services.gateway.accounts.links.domain import Link, LinkEnded
from services.gateway.accounts.passwords import Passwords, normal_email
from services.gateway.accounts.profile.store import list_emails_beyond_ascii, set_email
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits.domain import new_email_limits
from services.gateway.accounts.sessions import store as sessions

log = structlog.get_logger()


async def is_password_known(db: Database, login: SignedIn) -> bool:
    """Whether a clinic chose the login's password."""
    async with db.tx(None) as tx:
        found = await store.get_login_by_id(tx, login.login_id)
    return found is not None and found.password_by is not None


async def change_password(
    db: Database, passwords: Passwords, login: SignedIn, present: str, password: str
) -> None:
    """Change the password; all sessions of the login end, and its address is written to.

    Raises `WrongPassword`, `TooManyTries`, `PasswordKnown`, and nothing has changed then.
    """
    await accounts.check_present(db, passwords, login.login_id, present)
    hashed = await passwords.hash(password)
    async with db.tx(None, operator=True) as tx:
        found = await accounts.lock_own(tx, login.login_id)
        await accounts.choose_password(tx, found.id, hashed)
        await letters.tell(tx, found, "password_changed")
    await accounts.note(db, login.login_id, "change_password")


async def ask_for_email(
    db: Database, passwords: Passwords, login: SignedIn, present: str, email: str, target: str
) -> None:
    """Send a link to the new address; it is the login's once the link is used.

    Whether the address has a login is told to its own mailbox alone. Raises `WrongPassword`, `TooManyTries`,
    `PasswordKnown`, `EmailNotValid`.
    """
    new = normal_email(emails.address(email))
    await accounts.check_present(db, passwords, login.login_id, present)
    async with db.tx(None, operator=True) as tx:
        found = await accounts.lock_own(tx, login.login_id)
        place = await letters.place_of(tx, found.id, target)
        if place is None or not await limits.is_letter_allowed(tx, new_email_limits(found.id, new)):
            return
        link_id, lasts = new_id(), links.LIFETIMES["new_email"]
        await link_store.add_link(tx, link_id, "new_email", found.id, new, lasts)
        path = f"/email/{links.TOKEN}?next=/c/{place.slug}"
        await letter_store.add_letter(
            tx, Letter(new_id(), place.clinic_id, "new_email", new, path, link_id), lasts
        )


async def find_email(db: Database, token: str) -> Link:
    """The link that confirms a new address. Changes nothing. Raises `LinkEnded`."""
    async with db.tx(None) as tx:
        link = await link_store.get_link(tx, "new_email", links.hash_of(token))
    if link is None:
        raise LinkEnded
    return link


async def confirm_email(db: Database, token: str) -> str:
    """Use up the link: its address, which is returned, is the login's from now on. The old address is written to.

    Raises `LinkEnded`, also for an address that another login has by now.
    """
    async with db.tx(None, operator=True) as tx:
        link = await link_store.use_link(tx, "new_email", links.hash_of(token))
        before = await store.get_login_by_id(tx, link.login_id) if link and link.login_id else None
        if link is None or before is None or before.disabled or before.password_by is not None:
            raise LinkEnded
        if not await set_email(tx, before.id, link.email):
            raise LinkEnded
        await link_store.end_links_of(tx, before.id)
        await letters.tell(tx, before, "email_changed")
    await accounts.note(db, before.id, "change_email")
    return link.email


async def keep_one_form(db: Database) -> None:
    """Write addresses of an earlier release as they are compared now. One that two logins have stays in both forms."""
    async with db.tx(None) as tx:
        for login_id, email in await list_emails_beyond_ascii(tx):
            if (normal := normal_email(email)) != email and not await set_email(tx, login_id, normal):
                log.warning("login_twice", reason="one address in two forms")


async def log_out(db: Database, login: SignedIn, id_hash: bytes) -> None:
    """End one session of the login."""
    async with db.tx(None) as tx:
        await sessions.end_session(tx, login.login_id, id_hash)


async def log_out_everywhere(db: Database, login: SignedIn) -> None:
    """End all sessions of the login, and let it know no browser any more."""
    async with db.tx(None) as tx:
        await accounts.end_everywhere(tx, login.login_id, "everywhere")
