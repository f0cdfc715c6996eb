"""An invoice that is being checked, as clients and programs see it: said on every page, and not to be paid."""

import re
from uuid import UUID

from contracts.events.payment import PaymentSettled
from deploy.ops import parked
from services.invoice import consumers
from tests.builders.events import deliver
from tests.builders.invoices import taxed_invoice_body
from tests.builders.payments import a_settlement
from tests.builders.values import money
from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, a_whole_site, create_client, create_clinic

PAGES = ("", "/billing", "/invoices/{id}")


async def test_it_is_said_everywhere_offers_no_pay_and_is_normal_again_after_a_discard(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> None:
    async with a_whole_site(db_gateway, db_invoice, db_payment, db_notification) as site:
        clinic = await create_clinic(site)
        client = await create_client(site, clinic)
        issued = (
            await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=taxed_invoice_body(client))
        ).json()
        at_clinic = f"/clinics/{clinic['id']}/invoices"
        wrong = a_settlement(UUID(clinic["id"]), UUID(issued["id"]), money(1, "USD"))
        assert isinstance(wrong, PaymentSettled)
        await site.log_in(str(CLIENT["email"]))

        async def pages() -> list[str]:
            found = [await site.get(f"/c/oak{path.format(id=issued['id'])}") for path in PAGES]
            assert [page.status_code for page in found] == [200] * len(PAGES)
            return [page.text for page in found]

        async def pay() -> tuple[int, str]:
            page = await site.get(f"/c/oak{PAGES[0]}")
            (token,) = re.findall(r'<meta name="csrf-token" content="([^"]+)"', page.text)
            share = {"invoice_id": issued["id"], "amount": {"minor": 11_350, "currency": "EUR"}}
            body = {"invoices": [share], "method": {"kind": "card"}}
            answer = await site.client.post("/c/oak/payments", json=body, headers={"x-csrftoken": token})
            return answer.status_code, answer.json()["code"]

        assert not any("eing checked" in page for page in await pages())
        before = await pay()

        await deliver(db_invoice.worker, consumers, wrong)

        for page in await pages():
            assert "eing checked" in page and "/pay" not in page and "Review and pay" not in page
        pay_page = await site.get(f"/c/oak/invoices/{issued['id']}/pay")
        assert (pay_page.status_code, pay_page.headers["location"]) == (
            303,
            f"/c/oak/invoices/{issued['id']}",
        )
        assert await pay() == (409, "invoice_being_checked")
        whole = (await site.api("GET", f"{at_clinic}/{issued['id']}")).json()
        (row,) = (await site.api("GET", at_clinic)).json()["items"]
        assert whole["being_checked"] is row["being_checked"] is True and row["methods"] == []

        assert await parked.discard("invoice", db_invoice.worker_dsn, 1, "Ada", "a test")

        assert not any("eing checked" in page for page in await pages())
        assert await pay() == before != (409, "invoice_being_checked")
