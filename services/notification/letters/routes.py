"""Letters over HTTP: the gateway asks for them."""

from typing import Any
from uuid import UUID

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from contracts.http.letters import LetterIn, LetterOut
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, operator
from services.notification.letters import actions
from services.notification.letters.schemas import letter_of


@post("/letters/{letter_id:uuid}", guards=[operator])
async def queue_letter(
    letter_id: FromPath[UUID],
    data: JSONBody[LetterIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
) -> Response[LetterOut]:
    """Queue a letter in the look of the caller's clinic (201). One that is there stays as it is (200).

    422 `email_not_valid`.
    """
    is_new = await actions.queue_letter(tx, caller.clinic, letter_id, letter_of(data))
    return Response(LetterOut(id=letter_id), status_code=201 if is_new else 200)


ALL: list[Any] = [queue_letter]
