"""Invoices issued through the public API, by gateway and invoice service: one a request, and a hundred a request."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2

from tests.bench import loadgen
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench

CLINICS = 20
A_SET = 100
CONNECTIONS = 16
BULK_CONNECTIONS = 6
MOST_PER_SECOND = {1: 1_500, A_SET: 120}
"""Requests prepared for each second: more than can be answered in it."""

declare(
    Spec(
        "issue_per_s",
        "invoices/s",
        "invoices issued through the public API, one a request",
        target=500,
        limit="one_row_commits_per_s",
    ),
    Spec(
        "bulk_issue_per_s",
        "invoices/s",
        f"the same, {A_SET} a request",
        target=5_000,
        limit="one_row_commits_per_s",
    ),
)


class NotIssued(Exception):
    """The API refused what should have been issued; the message says with which statuses."""


@dataclass(frozen=True, slots=True)
class ClinicKey:
    """A clinic with one client, put on through the API; `key` reaches it."""

    clinic_id: str
    client_id: str
    slug: str
    key: str


async def make_clinics(
    bench: Bench, count: int = CLINICS, login: dict[str, str] | None = None
) -> list[ClinicKey]:
    """New clinics with a client and an API key each. With `login`, `{"password": …}`, the clients can sign in."""
    base_url = f"{bench.system.public_url}/api/v1"
    async with httpx2.AsyncClient(base_url=base_url, trust_env=False, timeout=30) as api:
        return [await _make_clinic(api, bench.system.operator_key, login) for _ in range(count)]


async def _make_clinic(api: httpx2.AsyncClient, operator: str, login: dict[str, str] | None) -> ClinicKey:
    async def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {operator}", "Idempotency-Key": str(uuid4())}
        answer = (await api.post(path, json=body, headers=headers)).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    slug = f"b-{uuid4().hex}"
    rates = [{"code": "STD", "name": "VAT", "percent": "13.5"}]
    about = {
        "slug": slug,
        "name": "Bench",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "contact": {"phone": "+353 1 555 0123"},
        "tax_rates": rates,
    }
    clinic = (await made("/clinics", about))["id"]
    person = {"name": "Ann Byrne", "email": f"{slug}@example.com"} | ({"login": login} if login else {})
    client = (await made(f"/clinics/{clinic}/clients", person))["id"]
    key = (await made(f"/clinics/{clinic}/api-keys", {"name": "bench"}))["api_key"]
    return ClinicKey(clinic, client, slug, key)


def requests(owners: list[ClinicKey], count: int, size: int) -> Iterator[bytes]:
    """So many requests for `size` invoices each, clinic after clinic."""
    for number in range(count):
        owner = owners[number % len(owners)]
        invoice = _invoice(owner)
        path = f"/api/v1/clinics/{owner.clinic_id}/invoices" + ("/bulk" if size > 1 else "")
        body = json.dumps({"invoices": [invoice] * size} if size > 1 else invoice).encode()
        headers = {
            "Authorization": f"Bearer {owner.key}",
            "Idempotency-Key": str(uuid4()),
            "Content-Type": "application/json",
        }
        yield loadgen.request("POST", path, "bench", headers, body)


def _invoice(owner: ClinicKey) -> dict[str, Any]:
    line = {
        "service": "Physiotherapy, 45 min",
        "practitioner": "Dr Niamh Kelly",
        "appointment": {"starts_at": "2026-11-02T10:00:00Z", "place": "Room 2"},
        "unit_price": {"minor": 10000, "currency": "EUR"},
        "tax_code": "STD",
    }
    due_on = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    return {"client_id": owner.client_id, "due_on": due_on, "lines": [line]}


async def issue(bench: Bench, owners: list[ClinicKey], size: int, seconds: float, figure: str | None) -> None:
    """Issue for so long, as fast as answers come; `figure` None to warm up. Raises `NotIssued`."""
    file = bench.data / "issue"
    count = int(MOST_PER_SECOND[size] * seconds)
    await asyncio.to_thread(loadgen.write_requests, file, requests(owners, count, size))
    program = await bench.load_program()
    connections = CONNECTIONS if size == 1 else BULK_CONNECTIONS
    address = f"127.0.0.1:{bench.system.ports.gateway}"
    before = bench.usage()
    load = await loadgen.send(program, address, file, connections=connections, seconds=seconds)
    usage = bench.usage().since(before)
    file.unlink()
    if load.failed or load.statuses.keys() != {201}:
        raise NotIssued(f"{load.failed} got no answer, the others {dict(load.statuses)}")
    if figure:
        issued = load.statuses[201] * size
        detail = {part: round(1000 * used / issued, 4) for part, used in usage.seconds.items()}
        detail |= {"load generator": round(1000 * load.cpu_seconds / issued, 4)}
        bench.found(figure, issued / load.seconds, detail={"cpu_ms": detail, "p99_ms": load.p99_us / 1000})


@measures("issue_per_s", "bulk_issue_per_s")
async def issuing(bench: Bench) -> None:
    owners = await make_clinics(bench)
    for size, figure in ((1, "issue_per_s"), (A_SET, "bulk_issue_per_s")):
        await issue(bench, owners, size, bench.window / 5, None)
        await issue(bench, owners, size, bench.window, figure)
