"""The job that answers requests for a link or a code by e-mail: it looks for the login, which they did not do."""

from services.chassis.db.database import Connection, Database
from services.gateway.accounts import store as accounts
from services.gateway.accounts.mailed_codes import actions as mailed_codes
from services.gateway.accounts.requests import store
from services.gateway.accounts.requests.domain import MailRequest
from services.gateway.accounts.resets import actions as resets


async def answer_requests(db: Database) -> None:
    """Prepare the letters to the requests' addresses that have a login. The others get none."""
    while await _answer_one(db):
        pass


async def _answer_one(db: Database) -> bool:
    async with db.tx(None, operator=True) as tx:
        request = await store.take_request(tx)
        if request is not None:
            await _answer(tx, request)
    return request is not None


async def _answer(tx: Connection, request: MailRequest) -> None:
    login = await accounts.get_login(tx, request.email)
    if login is None or login.disabled:
        return
    await accounts.lock_login(tx, login.id)
    if request.step_hash is None:
        await resets.answer(tx, login, request)
    else:
        await mailed_codes.answer(tx, login, request, request.step_hash)
