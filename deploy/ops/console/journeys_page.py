"""Why an invoice is not paid, by any reference: as a page, and for programs."""

from typing import Any

from litestar import Response
from litestar.params import FromQuery
from litestar.response import Template

from deploy.ops.apart import apart
from deploy.ops.console.login_pages import Console, ConsoleSettings
from deploy.ops.console.operators import actions as operators
from deploy.ops.console.page import page
from deploy.ops.console.sessions import AnyRequest, CurrentOperator, NotLoggedIn, id_of
from deploy.ops.database import UNREACHABLE
from deploy.ops.why.asking import why
from deploy.ops.why.references import LONGEST, nothing_known
from deploy.ops.why.story import as_json
from services.chassis.errors import DomainError, Unavailable
from services.gateway.api.keys import actions as api_keys
from services.gateway.api.keys import store as key_store
from services.gateway.web.heads import readable


class ReferenceInvalid(DomainError):
    code = "reference_invalid"
    status = 422


@readable("/journeys")
async def journeys(operator: CurrentOperator, sources: Console, q: FromQuery[str] = "") -> Template:
    """The journeys that a reference names; without one, the form to type it."""
    asked = q.strip()
    away = False
    try:
        found = await why(sources.access, asked) if asked else ()
    except UNREACHABLE:
        found, away = (), True
    return page(
        "ops_journeys.html",
        "journeys",
        operator,
        status=503 if away else 200,
        asked=asked[:LONGEST],
        found=found,
        away=away,
        apart=apart,
        nothing=nothing_known(asked),
    )


@readable("/journeys")
async def journeys_for_programs(
    request: AnyRequest, sources: Console, settings: ConsoleSettings, q: FromQuery[str]
) -> Response[dict[str, Any]]:
    """The same as JSON, for an operator's API key or a session. 422 for no reference, 503 where a database is away."""
    await _known(request, sources, settings)
    asked = q.strip()
    if not asked or len(asked) > LONGEST or not asked.isprintable():
        raise ReferenceInvalid(f"A reference has 1 to {LONGEST} characters that can be printed.")
    try:
        found = await why(sources.access, asked)
    except UNREACHABLE:
        raise Unavailable("A database does not answer.") from None
    return Response({"journeys": as_json(found)})


async def _known(request: AnyRequest, sources: Console, settings: ConsoleSettings) -> None:
    """Raises `NotLoggedIn` for a request of nobody, and for the key of a clinic."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        async with sources.own.statements() as connection:
            found = await key_store.get_api_key(connection, api_keys.hash_of(key.strip()))
        if found is not None and found.role == "operator":
            return
    elif (session_id := id_of(request, settings.https)) and await operators.of_session(
        sources.own, session_id
    ):
        return
    raise NotLoggedIn("Send an operator's API key, as `Authorization: Bearer …`.")


PAGES: list[Any] = [journeys]
PROGRAMS: list[Any] = [journeys_for_programs]
