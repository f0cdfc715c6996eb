"""A service's HTTP side on a real database: who may call, what commits when, and what an error looks like."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from services.chassis import idempotency
from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError, Unavailable
from services.chassis.http.app import service_app
from services.chassis.http.auth import Caller, client, operator, staff
from services.chassis.ids import new_id
from services.chassis.settings import ServiceSettings
from services.chassis.telemetry import spans
from tests.builders.callers import PRIVATE_KEY, PUBLIC_KEY, a_caller
from tests.running.apps import Client, calling
from tests.running.databases import ServiceDb


class Teapot(DomainError):
    code = "teapot"
    status: ClassVar[int] = 418


class Note(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    count: int = 0


@get("/who")
async def who(caller: NamedDependency[Caller]) -> dict[str, str]:
    return {"subject": str(caller.subject), "role": caller.role}


@get("/clients-only", guards=[client])
async def clients_only() -> None: ...


@get("/staff-only", guards=[staff])
async def staff_only() -> None: ...


@get("/operators-only", guards=[operator])
async def operators_only() -> None: ...


@get("/refuse")
async def refuse() -> None:
    raise Teapot("Short and stout.", colour="brown")


@get("/away")
async def away() -> None:
    raise Unavailable("Come back.", retry_after=7)


@get("/break")
async def breaks() -> None:
    raise RuntimeError("PHI-CANARY-7f3")


@post("/notes/{key:str}")
async def add_note(
    key: FromPath[str], data: JSONBody[Note], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> dict[str, str]:
    if await idempotency.claim(tx, caller.clinic, key, data.text.encode()) is None:
        await idempotency.keep(tx, caller.clinic, key, data.text.encode())
    if data.text == "fail":
        raise Teapot("Not this one.")
    return {"text": data.text}


@get("/notes")
async def list_notes(tx: NamedDependency[Connection]) -> list[str]:
    return [row["key"] for row in await tx.fetch("SELECT key FROM idempotency_keys ORDER BY key")]


ROUTES = [who, clients_only, staff_only, operators_only, refuse, away, breaks, add_note, list_notes]


def an_app(db: Database) -> Litestar:
    settings = ServiceSettings(
        http_port=1,
        kafka_bootstrap_servers="localhost:1",
        database_url="unused",
        internal_token_public_key=PUBLIC_KEY,
    )
    return service_app(name="test", settings=settings, db=db, route_handlers=ROUTES)


@pytest.fixture
async def service(db_invoice: ServiceDb) -> AsyncIterator[Client]:
    async with calling(an_app(db_invoice.api), "test") as calls:
        yield calls


def _signed(key: OKPKey, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "gateway",
        "aud": "test",
        "sub": str(new_id()),
        "role": "client",
        "iat": now,
        "exp": now + 60,
    }
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode({"alg": "Ed25519"}, claims, key, algorithms=["Ed25519"])


async def test_a_token_says_whom_a_request_is_made_for(service: Client) -> None:
    caller = a_caller("staff", new_id())

    answer = await service.call("GET", "/who", caller)

    assert answer.json() == {"subject": str(caller.subject), "role": "staff"}


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "payment"},
        {"iss": "somebody"},
        {"exp": 1},
        {"exp": int(time.time()) + 7200},
        {"iat": None},
        {"role": "admin"},
        {"role": None},
        {"sub": "not-a-uuid"},
        {"clinic": "../other"},
    ],
    ids=lambda changes: "-".join(f"{key}" for key in changes),
)
async def test_a_token_that_is_not_exactly_right_is_refused(service: Client, changes: dict[str, Any]) -> None:
    own = OKPKey.import_key(msgspec.json.decode(PRIVATE_KEY))

    answer = await service.call("GET", "/who", headers={"Authorization": f"Bearer {_signed(own, **changes)}"})

    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_a_token_signed_by_another_key_or_by_none_is_refused(service: Client) -> None:
    stranger = _signed(OKPKey.generate_key("Ed25519"))
    header, payload, _ = stranger.split(".")
    for authorization in (f"Bearer {stranger}", f"Bearer {header}.{payload}.", "Bearer x", "Basic eA==", ""):
        answer = await service.call("GET", "/who", headers={"Authorization": authorization})
        assert answer.status_code == 401, authorization
    assert (await service.call("GET", "/who")).status_code == 401


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/clients-only", {"client"}),
        ("/staff-only", {"staff", "operator"}),
        ("/operators-only", {"operator"}),
    ],
)
async def test_each_role_reaches_what_is_its_own(service: Client, path: str, allowed: set[str]) -> None:
    for role in ("client", "staff", "operator"):
        answer = await service.call("GET", path, a_caller(role, new_id()))
        assert (answer.status_code == 200) == (role in allowed), role


async def test_a_transaction_is_committed_before_the_answer_leaves(db_invoice: ServiceDb) -> None:
    """When the client has its 201, every other connection sees the row."""
    clinic = new_id()
    app = an_app(db_invoice.api)
    seen_at_send: list[int] = []

    async def spying(scope: Any, receive: Any, send: Any) -> None:
        async def spy(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen_at_send.append(await db_invoice.admin.fetchval("SELECT count(*) FROM idempotency_keys"))
            await send(message)

        await app(scope, receive, spy if scope["type"] == "http" else send)

    async with calling(app, "test", through=spying) as calls:
        answer = await calls.call("POST", "/notes/a", a_caller("staff", clinic), json={"text": "x"})

    assert answer.status_code == 201
    assert seen_at_send == [1]


async def test_a_refusal_rolls_the_transaction_back(service: Client, db_invoice: ServiceDb) -> None:
    answer = await service.call("POST", "/notes/a", a_caller("staff", new_id()), json={"text": "fail"})

    assert answer.status_code == 418
    assert await db_invoice.admin.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_a_transaction_sees_its_own_clinic_only(service: Client) -> None:
    here, there = new_id(), new_id()
    await service.call("POST", "/notes/mine", a_caller("staff", here), json={"text": "x"})
    await service.call("POST", "/notes/theirs", a_caller("staff", there), json={"text": "x"})

    assert (await service.call("GET", "/notes", a_caller("staff", here))).json() == ["mine"]
    assert (await service.call("GET", "/notes", a_caller("operator"))).json() == []


async def test_errors_are_problem_json_with_a_stable_code(service: Client) -> None:
    caller = a_caller("staff", new_id())
    refused = await service.call("GET", "/refuse", caller)
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json() == {
        "type": "urn:clinicpay:problem:teapot",
        "title": "I'm a Teapot",
        "status": 418,
        "code": "teapot",
        "detail": "Short and stout.",
        "colour": "brown",
    }
    assert (await service.call("GET", "/away", caller)).headers["retry-after"] == "7"
    assert (await service.call("GET", "/nowhere", caller)).json()["code"] == "not_found"
    assert (await service.call("PUT", "/who", caller)).json()["code"] == "method_not_allowed"


async def test_an_unexpected_error_says_nothing_of_its_cause(service: Client) -> None:
    answer = await service.call("GET", "/break", a_caller("staff", new_id()))

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "CANARY" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'{"text": 1}',
        b'{"text": "a", "clinic_id": "x"}',
        b'{"text": "a", "count": 1.5}',
        b"\xff",
    ],
)
async def test_a_bad_body_is_a_400_that_names_no_values(service: Client, body: bytes) -> None:
    answer = await service.call("POST", "/notes/a", a_caller("staff", new_id()), content=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


async def test_a_request_without_a_body_is_told_that_the_body_is_missing(service: Client) -> None:
    answer = await service.call("POST", "/notes/a", a_caller("staff", new_id()))

    assert answer.json()["errors"] == [
        {"in": "body", "field": "", "pointer": "", "message": "The request has no body; send a JSON object"}
    ]


async def test_a_401_says_how_to_authenticate(service: Client) -> None:
    answer = await service.call("GET", "/who")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="ClinicPay"')


async def test_the_database_away_is_a_503_with_a_time_to_come_back() -> None:
    async with calling(an_app(Database("postgresql://nobody@127.0.0.1:1/none")), "test") as calls:
        answer = await calls.call("GET", "/notes", a_caller("staff", new_id()))
        ready = await calls.call("GET", "/healthz/ready")
        live = await calls.call("GET", "/healthz/live")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert (ready.status_code, live.status_code) == (503, 200)


async def test_the_same_key_has_the_same_answer_and_another_body_is_refused(db_invoice: ServiceDb) -> None:
    clinic = new_id()
    async with db_invoice.api.tx(clinic) as tx:
        assert await idempotency.claim(tx, clinic, "k", b"body") is None
        await idempotency.keep(tx, clinic, "k", b"answer")

    async with db_invoice.api.tx(clinic) as tx:
        assert await idempotency.claim(tx, clinic, "k", b"body") == b"answer"
        with pytest.raises(idempotency.IdempotencyKeyReused):
            await idempotency.claim(tx, clinic, "k", b"other body")


@pytest.mark.parametrize("key", [None, "", "a b", "a\n", "k" * 256, "clé", "\x7f"])
async def test_a_bad_idempotency_key_is_refused(db_invoice: ServiceDb, key: str | None) -> None:
    async with db_invoice.api.tx(new_id()) as tx:
        with pytest.raises(idempotency.BadIdempotencyKey):
            await idempotency.claim(tx, new_id(), key, b"")


async def test_a_second_request_with_a_key_waits_for_the_first(db_invoice: ServiceDb) -> None:
    clinic = new_id()

    async def ask() -> bytes | None:
        async with db_invoice.api.tx(clinic) as tx:
            earlier = await idempotency.claim(tx, clinic, "k", b"body")
            if earlier is None:
                await idempotency.keep(tx, clinic, "k", b"answer")
            return earlier

    answers = await asyncio.gather(*(ask() for _ in range(20)))

    assert sorted(answers, key=str) == [None] + [b"answer"] * 19 or answers.count(None) == 1


async def test_a_cancelled_transaction_leaves_no_open_one_in_the_pool(db_invoice: ServiceDb) -> None:
    """The pool would roll back what it is given; what state a connection is in that was cut off, nobody knows."""
    inside = asyncio.Event()
    servers: list[int] = []
    db = Database(db_invoice.api_dsn, size=1)

    async def cut_off() -> None:
        async with db.tx(new_id()) as tx:
            servers.append(await tx.fetchval("SELECT pg_backend_pid()"))
            inside.set()
            await tx.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(cut_off())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with db.tx(None) as tx:
        assert await tx.fetchval("SELECT pg_backend_pid()") not in servers
    assert db.held == 0
    await db.close()


async def test_no_role_of_a_service_reaches_anothers_database(roles: dict[str, str]) -> None:
    from deploy.ops.database import with_database

    for role, dsn in roles.items():
        other = "payment" if role.startswith("invoice") else "invoice"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(with_database(dsn, f"clinicpay_{other}"))


async def test_the_relays_role_sees_the_outbox_alone(db_invoice: ServiceDb) -> None:
    relay = await asyncpg.connect(db_invoice.relay_dsn)
    tables = await db_invoice.admin.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    try:
        for name in {row["relname"] for row in tables} - {"outbox"}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await relay.fetch(f'SELECT * FROM "{name}"')
        assert await relay.fetch("SELECT * FROM outbox") == []
    finally:
        await relay.close()


async def test_every_table_with_a_clinic_forces_row_level_security(
    db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb, db_gateway: ServiceDb
) -> None:
    """And as the api role without a clinic, each shows no rows."""
    for db in (db_invoice, db_payment, db_notification, db_gateway):
        open_tables = await db.admin.fetch(
            """
            SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
            WHERE attname = 'clinic_id' AND relkind = 'r' AND NOT (relrowsecurity AND relforcerowsecurity)
            """
        )
        assert [row["relname"] for row in open_tables] == [], db.name


def test_ids_are_in_order_of_time() -> None:
    ids = [new_id() for _ in range(100)]
    assert all(isinstance(each, UUID) and each.version == 7 for each in ids)
    assert sorted(ids) == ids


TRACE, PARENT_SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("GET", "/who?secret=PHI-CANARY-7f3", "GET /who", 200),
        ("POST", "/notes/PHI-CANARY-7f3", "POST /notes/{key}", 415),
        ("GET", "/break", "GET /break", 500),
    ],
)
async def test_a_request_has_a_span_that_goes_on_from_its_callers_and_says_nothing_that_was_asked(
    service: Client, exported: InMemorySpanExporter, method: str, path: str, name: str, status: int
) -> None:
    headers = {"traceparent": f"00-{TRACE:032x}-{PARENT_SPAN:016x}-01", "content-type": "text/plain"}

    await service.call(method, path, a_caller("staff", new_id()), headers=headers)

    (span,) = exported.get_finished_spans()
    assert (span.name, span.kind) == (name, SpanKind.SERVER)
    assert span.parent is not None
    assert (span.context.trace_id, span.parent.span_id) == (TRACE, PARENT_SPAN)
    assert (span.attributes or {})["http.response.status_code"] == status
    assert span.status.is_ok == (status < 500)
    assert "PHI-CANARY" not in span.to_json()


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}])
async def test_a_request_with_no_trace_to_go_on_from_begins_its_own(
    service: Client, exported: InMemorySpanExporter, headers: dict[str, str]
) -> None:
    await service.call("GET", "/who", headers=headers)

    (span,) = exported.get_finished_spans()
    assert span.parent is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/who", 200),
        ("GET", "/refuse", 418),
        ("GET", "/away", 503),
        ("GET", "/break", 500),
        ("GET", "/nowhere", 404),
        ("DELETE", "/who", 405),
        ("POST", "/notes/a", 415),
    ],
)
async def test_every_answer_of_a_service_has_the_requests_id(
    service: Client, method: str, path: str, status: int
) -> None:
    headers = {"content-type": "text/plain"}
    answers = [
        await service.call(method, path, a_caller("staff", new_id()), headers=headers) for _ in range(2)
    ]

    assert [each.status_code for each in answers] == [status] * 2
    assert (
        len({each.headers["x-request-id"] for each in answers if len(each.headers["x-request-id"]) == 32})
        == 2
    )


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, "slow"), (60.0, None)])
async def test_the_trace_of_a_slow_answer_is_kept(
    service: Client,
    exported: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    kept: str,
) -> None:
    monkeypatch.setattr(spans, "SLOW_ANSWER", seconds)

    await service.call("GET", "/who")

    (span,) = exported.get_finished_spans()
    assert (span.attributes or {}).get("clinicpay.keep") == kept


async def test_questions_about_health_have_no_spans(service: Client, exported: InMemorySpanExporter) -> None:
    await service.call("GET", "/healthz/live")

    assert exported.get_finished_spans() == ()
