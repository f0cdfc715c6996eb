"""Hand letters over to notification, each under its own id, again and again until notification has it.

A letter is a row in the transaction of its cause. Its link's token is made for each try and kept as a hash alone, so a
try whose answer was lost leaves a token that only notification knows. All tokens of a link open it. So do
all codes that may be typed in their place.
"""

import asyncio
from uuid import UUID

import structlog

from contracts.http.letters import LetterIn, LetterTemplate
from services.chassis.db.database import Connection, Database
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.accounts import store as accounts
from services.gateway.accounts.domain import Membership, slug_of
from services.gateway.accounts.letters import domain, store
from services.gateway.accounts.letters.domain import Letter
from services.gateway.accounts.links import domain as links
from services.gateway.accounts.links import store as link_store
from services.gateway.accounts.sealing import MailedCodes
from services.gateway.accounts.store import Login
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import Upstreams

log = structlog.get_logger()

AT_ONCE = 20
HOLD_SECONDS = 15.0
"""Longer than a call with its retries takes."""
_REFUSALS = (400, 422)
"""Any other error may end: also a 404, of a notification that is older than this gateway."""


async def place_of(tx: Connection, login_id: UUID, target: str = "/") -> Membership | None:
    """The membership in whose clinic's look a letter to the login is; None for a login without one.

    That of the portal in which `target` is, if the login has one there.
    """
    slug = slug_of(target)
    asked = await accounts.get_clinic_of_portal(tx, slug) if slug else None
    places = await accounts.list_memberships(tx, login_id)
    return min(places, key=lambda each: (each.clinic_id != asked, not each.accepted), default=None)


async def add_notice(tx: Connection, letter: Letter) -> None:
    """Add a letter without a link."""
    await store.add_letter(tx, letter, domain.NOTICE_LASTS)


async def tell(tx: Connection, login: Login, template: LetterTemplate, email: str = "") -> None:
    """Write to the login's owner about a change of it, at its address or the one given."""
    place = await place_of(tx, login.id)
    if place is not None:
        path = f"/password?next=/c/{place.slug}"
        await add_notice(tx, Letter(new_id(), place.clinic_id, template, email or login.email, path))


class Letters:
    """Hands letters over. Many may run, in as many processes."""

    def __init__(self, db: Database, upstreams: Upstreams, codes: MailedCodes) -> None:
        self._db, self._upstreams, self._codes = db, upstreams, codes

    async def sweep(self) -> None:
        """Hand over the letters that are due. Raises when the database is unreachable."""
        while True:
            async with self._db.tx(None, operator=True) as tx:
                due = await store.claim_letters(tx, AT_ONCE, HOLD_SECONDS)
            ended = await asyncio.gather(*map(self._hand_over, due), return_exceptions=True)
            for error in ended:
                if error is not None:
                    raise error
            if len(due) < AT_ONCE:
                return

    async def _hand_over(self, letter: Letter) -> None:
        body = None if letter.over else await self._body(letter)
        try:
            if body is not None:
                caller = Caller(letter.id, "operator", letter.clinic_id)
                await self._upstreams.queue_letter(caller, letter.id, body)
        except UpstreamError as error:
            if error.status not in _REFUSALS:
                await self._put_off(letter)
                return
            log.warning("letter_refused", template=letter.template, code=error.code)
        async with self._db.tx(letter.clinic_id) as tx:
            await store.delete_letter(tx, letter)

    async def _body(self, letter: Letter) -> LetterIn | None:
        """The letter as notification takes it; None when its link has ended."""
        if letter.link_id is None:
            return LetterIn(template=letter.template, email=letter.email, path=letter.path)
        token = links.new_token()
        code, code_hash = self._codes.new() if letter.template == "login_code" else (None, None)
        async with self._db.tx(None) as tx:
            link = await link_store.add_token(tx, letter.link_id, links.hash_of(token), code_hash)
        if link is None:
            return None
        path = letter.path.replace(links.TOKEN, token)
        return LetterIn(
            template=letter.template, email=letter.email, path=path, ends_at=link.ends_at, code=code
        )

    async def _put_off(self, letter: Letter) -> None:
        async with self._db.tx(letter.clinic_id) as tx:
            await store.put_off_letter(tx, letter, domain.pause_after(letter.tries))
