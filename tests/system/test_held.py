"""A clinic with `undo_hours` on the whole system: what is held is done by the real worker, or undone."""

from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from deploy.ops.data_directory import DataDirectory
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from tests.running.system import Running, until
from tests.system.test_main_job import an_invoice, harbour, start, until_paid

REASON = {"reason": "goodwill"}


async def test_a_refund_and_a_credit_note_are_held_then_done_and_a_void_is_undone(
    system: Running, data: Path
) -> None:
    clinic = f"/clinics/{await harbour(system)}"
    paid, open_, kept = [await an_invoice(system) for _ in range(3)]
    begun = await start(system, paid)
    await system.confirm(begun)
    await until_paid(system, paid)
    refund = {"payment_id": begun["payment_id"], "amount": 2_000}
    await system.api("PATCH", clinic, {"undo_hours": 1})
    try:
        await until(lambda: _knows_hours(data, 1))
        previewed = await system.api("POST", f"{clinic}/refunds/preview", refund)
        held = await system.api("POST", f"{clinic}/refunds", refund, key=str(new_id()))
        note = await system.api(
            "POST", f"{clinic}/invoices/{open_['id']}/credit-notes", REASON, key=str(new_id())
        )
        void = await system.api(
            "POST", f"{clinic}/invoices/{kept['id']}/void", {"reason": "duplicate"}, key=str(new_id())
        )
        [refund_act] = held["held_acts"]
        listed = await system.api("GET", f"{clinic}/held-acts")
        undone = await system.api("POST", f"{clinic}/held-acts/{void['id']}/undo")
        report = await verify(Access.of_data(data), topics=True)

        assert refund_act["preview"]["refunds"] == previewed["refunds"]
        assert [act["id"] for act in listed["items"]] == [void["id"], note["id"], refund_act["id"]]
        assert undone["state"] == "undone"
        assert not report.breaches, str(report)
        assert await system.mails(f"Credit note for invoice {open_['number']}") == []

        for service in ("invoice", "payment"):
            await _run(data, service, "UPDATE tasks SET due_at = now() WHERE kind LIKE 'held.%'")
        await until(lambda: _is(system, clinic, open_, "status", "credited"))
        await until(lambda: _is(system, clinic, paid, "refunded", {"minor": 2_000, "currency": "EUR"}))
        await until(lambda: system.mails(f"Credit note for invoice {open_['number']}"))
        ended = (await system.api("GET", f"{clinic}/held-acts?ended=true"))["items"]
        assert {act["id"]: act["state"] for act in ended} == {
            void["id"]: "undone",
            note["id"]: "done",
            refund_act["id"]: "done",
        }
        assert await _is(system, clinic, kept, "status", "unpaid")
        late = await _refused(system, f"{clinic}/held-acts/{note['id']}/undo")
        assert (late.status_code, late.json()["code"]) == (409, "already_done")
        report = await verify(Access.of_data(data), topics=True)
        assert not report.breaches, str(report)
    finally:
        await system.api("PATCH", clinic, {"undo_hours": 0})
        await until(lambda: _knows_hours(data, 0))


async def _is(system: Running, clinic: str, invoice: Any, name: str, value: Any) -> bool:
    found = await system.api("GET", f"{clinic}/invoices/{invoice['id']}")
    return bool(found[name] == value)


async def _refused(system: Running, path: str) -> httpx2.Response:
    try:
        await system.api("POST", path)
    except httpx2.HTTPStatusError as error:
        return error.response
    raise AssertionError("it was not refused")


async def _knows_hours(data: Path, hours: int) -> bool:
    """Whether payment has heard of the clinic's setting."""
    return await _run(data, "payment", f"SELECT bool_or(undo_hours > 0) = {hours > 0} FROM clinics")


async def _run(data: Path, service: str, statement: str) -> bool:
    """Run a statement as the service's worker may: no test waits for an hour."""
    dsn = DataDirectory(data).dsn(f"{service}_worker", service)
    connection = await asyncpg.connect(dsn)
    try:
        return bool(await connection.fetchval(statement))
    finally:
        await connection.close()
