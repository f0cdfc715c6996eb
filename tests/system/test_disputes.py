"""Two payments are disputed on the whole system: one is answered by the guide's own calls and won, one is lost."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2

from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from tests.running.gateway import Site
from tests.running.system import Running, until
from tests.service.test_documented_examples import Shell, answering
from tests.system.test_main_job import an_invoice, get, harbour, start, until_paid


async def a_dispute(system: Running, invoice: dict[str, Any]) -> dict[str, Any]:
    """Pay the invoice, and let the payer dispute it: the dispute once its money is withdrawn here."""
    begun = await start(system, invoice)
    intent_id = (await system.confirm(begun))["id"]
    await until_paid(system, invoice)
    account = begun["stripe_account"] or ""
    headers = {"Authorization": f"Bearer {system.secrets['sandbox_secret_key']}"}
    headers |= {"Stripe-Account": account} if account else {}
    async with httpx2.AsyncClient(base_url=system.sandbox_url, headers=headers) as stripe:
        charge = (await stripe.get(f"/v1/payment_intents/{intent_id}")).json()["latest_charge"]
    path = f"/accounts/{account or 'platform'}/charges/{charge}/dispute"
    await system.control("POST", path, {"reason": "product_not_received"})

    async def withdrawn() -> dict[str, Any] | None:
        listed = await system.api("GET", f"/clinics/{await harbour(system)}/disputes?limit=100")
        found = [each for each in listed["items"] if each["payment_id"] == begun["payment_id"]]
        return found[0] if found and found[0]["taken"]["minor"] else None

    made: dict[str, Any] = await until(withdrawn)
    return made


async def until_it_is(system: Running, dispute: dict[str, Any], status: str) -> dict[str, Any]:
    path = f"/clinics/{await harbour(system)}/disputes/{dispute['id']}"

    async def is_so() -> dict[str, Any] | None:
        found: dict[str, Any] = await system.api("GET", path)
        return found if found["status"] == status else None

    ended: dict[str, Any] = await until(is_so)
    return ended


async def by_the_guide(system: Running, dispute: dict[str, Any]) -> None:
    """Write, preview and submit the evidence, by the calls of docs/integrating.md."""
    async with httpx2.AsyncClient(base_url=system.url, timeout=30) as http:
        shell = Shell(cast(Site, SimpleNamespace(client=http)))
        shell.variables |= {
            "CLINIC": await harbour(system),
            "CLINIC_KEY": "demo-operator-key",
            "DISPUTE": dispute["id"],
        }
        answered = {command: await shell.run(command) for command in answering("DISPUTE")}
    assert len(answered) == 3
    assert set(answered.values()) == {200}, answered


async def answer(system: Running, dispute: dict[str, Any], text: str) -> Any:
    path = f"/clinics/{await harbour(system)}/disputes/{dispute['id']}/evidence"
    await system.api("PUT", path, {"texts": {"uncategorized_text": text}, "with_services": True})
    seen = await system.api("GET", f"{path}/preview")
    await system.api("POST", f"{path}/submission", {"digest": seen["digest"]}, key=str(new_id()))
    return seen


async def test_a_dispute_is_answered_and_won_and_another_is_lost(system: Running, data: Path) -> None:
    clinic = await harbour(system)
    before = (await system.api("GET", f"/clinics/{clinic}"))["lost_dispute_reopens"]
    await system.api("PATCH", f"/clinics/{clinic}", {"lost_dispute_reopens": True})
    kept, lost = await an_invoice(system, 12_300), await an_invoice(system, 4_500)
    won_dispute, lost_dispute = await a_dispute(system, kept), await a_dispute(system, lost)
    assert won_dispute["invoices"] == [{"invoice_id": kept["id"], "amount": kept["total"]}]

    await by_the_guide(system, won_dispute)
    answered = await until_it_is(system, won_dispute, "under_review")
    shown = await answer(system, lost_dispute, "losing_evidence")
    await until_it_is(system, lost_dispute, "lost")
    account = (await system.api("GET", f"/clinics/{clinic}/stripe-account"))["stripe_account_id"]
    stripe_id = won_dispute["stripe_dispute_id"]
    path = f"/accounts/{account or 'platform'}/disputes/{stripe_id}/end"
    await system.control("POST", path, {"outcome": "won"})
    won = await until_it_is(system, won_dispute, "won")

    texts = {each["name"]: each["text"] for each in shown["texts"]}
    assert (answered["submissions"], won["taken"]["minor"]) == (1, 0)
    assert lost["number"] in texts["product_description"]
    assert "Follow-up session" in texts["product_description"], "it was switched on"
    assert texts["customer_name"] and "@" in texts["customer_email_address"]

    async def due_again() -> bool:
        return bool((await get(system, lost))["status"] == "unpaid")

    await until(due_again)
    assert (await get(system, kept))["status"] == "paid"
    for words in (
        "A payment of €123.00 is disputed",
        "The dispute of €123.00 is won",
        "The dispute of €45.00 is lost",
    ):
        assert len(await until(partial(system.mails, words))) == 1
    report = await verify(Access.of_data(data), topics=True)
    assert not report.breaches, str(report)
    await system.api("PATCH", f"/clinics/{clinic}", {"lost_dispute_reopens": before})
