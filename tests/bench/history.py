"""Billing History in the portal: one client with a thousand invoices among very many, as a browser asks for it."""

import re
import secrets
from pathlib import Path
from uuid import UUID

import httpx2

from tests.bench import loadgen
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench
from tests.bench.issue import ClinicKey, make_clinics
from tests.bench.seed import add_live

OWN = 1_000
AMONG = 1_000_000
AMONG_QUICK = 10_000
RATE = 50.0
CONNECTIONS = 8
PASSWORD = secrets.token_urlsafe()

declare(
    Spec(
        "history_ms_p99",
        "ms",
        f"Billing History of a client with {OWN:,} invoices among {AMONG:,}, {RATE:.0f} requests/s",
        better="less",
        target=50,
    )
)


class NotShown(Exception):
    """The portal answered with something else than the page; the message says with what."""


@measures("history_ms_p99")
async def history(bench: Bench) -> None:
    among = AMONG_QUICK if bench.quick else AMONG
    if (missing := among - bench.seeded - bench.history) > 0:
        await add_live(bench, missing)
    [owner] = await make_clinics(bench, 1, login={"password": PASSWORD})
    await add_own(bench, owner)
    cookie = await sign_in(bench, owner)
    file = bench.data / "history"
    headers = {"Cookie": cookie, "Accept": "text/html"}
    loadgen.write_requests(file, [loadgen.request("GET", f"/c/{owner.slug}/billing", "bench", headers)])
    await _ask(bench, file, bench.window / 5)
    load = await _ask(bench, file, bench.window)
    detail = {
        "p50_ms": load.p50_us / 1000,
        "max_ms": load.max_us / 1000,
        "among": bench.seeded + bench.history,
    }
    bench.found("history_ms_p99", load.p99_us / 1000, detail=detail)


async def _ask(bench: Bench, file: Path, seconds: float) -> loadgen.Load:
    address = f"127.0.0.1:{bench.system.ports.gateway}"
    load = await loadgen.send(
        await bench.load_program(),
        address,
        file,
        connections=CONNECTIONS,
        rate=RATE,
        seconds=seconds,
        loop=True,
    )
    if load.failed or load.statuses.keys() != {200}:
        raise NotShown(f"{load.failed} got no answer, the others {dict(load.statuses)}")
    return load


async def add_own(bench: Bench, owner: ClinicKey) -> None:
    """Write the client's invoices of the last years: every third is open, the others are paid."""
    async with bench.admin("invoice") as admin:
        await admin.execute("SET session_replication_role = replica")
        await admin.execute(
            """
            INSERT INTO invoices (clinic_id, id, client_id, number, status, currency, subtotal_amount, tax_amount,
                total_amount, settled_amount, issued_on, due_on, summary, paid_at, seller, locale, time_zone)
            SELECT $1, gen_random_uuid(), $2, '2020-' || lpad(n::text, 6, '0'),
                CASE WHEN n % 3 = 0 THEN 'unpaid' ELSE 'paid' END, 'EUR', 12500, 0, 12500,
                CASE WHEN n % 3 = 0 THEN 0 ELSE 12500 END, current_date - n, current_date - n + 30, 'Visit',
                CASE WHEN n % 3 = 0 THEN NULL ELSE now() END, '{"name": "Clinic"}', 'en-IE', 'UTC'
            FROM generate_series(1, $3::int) AS n
            """,
            UUID(owner.clinic_id),
            UUID(owner.client_id),
            OWN,
        )
        await admin.execute(
            """
            INSERT INTO invoice_identities (clinic_id, invoice_id, name, billing_address)
            SELECT clinic_id, id, 'Client', '{}' FROM invoices WHERE clinic_id = $1
            ON CONFLICT DO NOTHING
            """,
            UUID(owner.clinic_id),
        )
        await admin.execute("ANALYZE invoices")


async def sign_in(bench: Bench, owner: ClinicKey) -> str:
    """The Cookie header of a browser in which the client has signed in."""
    async with httpx2.AsyncClient(base_url=bench.system.public_url, trust_env=False, timeout=30) as browser:
        page = await browser.get("/login", headers={"Accept": "text/html"})
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        form = {
            "_csrf_token": token[1] if token else "",
            "email": f"{owner.slug}@example.com",
            "password": PASSWORD,
            "next": "",
        }
        answer = await browser.post("/login", data=form)
        if answer.status_code != 303:
            raise NotShown(f"signing in was answered with {answer.status_code}")
        return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
