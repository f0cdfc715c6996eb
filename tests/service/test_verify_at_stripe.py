"""`clinicpay verify` names what was refunded or disputed at Stripe itself, which no database here knows."""

import httpx2
import pytest

from deploy.ops.verify.run import verify
from tests.running.installation import Installation


async def test_what_was_refunded_or_disputed_at_stripe_itself_is_named(installation: Installation) -> None:
    sandbox = installation.payments.sandbox
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as dashboard:
        charges = (await dashboard.get("/v1/charges?limit=100")).json()["data"]
        refunded, disputed = [each for each in charges if each["amount"] in (12_500, 8_000, 3_000)][:2]
        await dashboard.post("/v1/refunds", data={"charge": refunded["id"], "amount": "123"})
    path = f"/accounts/platform/charges/{disputed['id']}/dispute"
    dispute = await sandbox.control("POST", path, {})

    report = await verify(installation.access, wait=0)

    rows = {breach.check: breach.row for breach in report.breaches}
    assert len(report.breaches) == 2, str(report)
    there, row = rows["refunds_at_stripe_are_booked"], rows["disputes_are_kept"]
    assert (there["payment_intent"], there["amount"]) == (refunded["payment_intent"], 123)
    assert there["payment_id"] is not None
    assert (row["dispute"], row["wrong"]) == (dispute["id"], "not kept")


@pytest.mark.parametrize("how", ["canceled", "gone"])
async def test_an_old_reservation_whose_intent_is_over_is_named(installation: Installation, how: str) -> None:
    payments = installation.payments
    row = await payments.db.admin.fetchrow(
        """
        UPDATE payments SET created_at = created_at - interval '25 hours' WHERE status = 'failed'
        RETURNING id, stripe_payment_intent_id AS intent
        """
    )
    assert row is not None
    before = await verify(installation.access, wait=0)
    if how == "canceled":
        await payments.stripe.cancel_intent("", row["intent"])
    else:
        await payments.sandbox.control("DELETE", f"/accounts/platform/objects/{row['intent']}")
    report = await verify(installation.access, wait=0)

    assert not before.breaches, str(before)
    [breach] = [each for each in report.breaches if each.check == "reservations_are_live"]
    assert (breach.row["payment_id"], breach.row["at Stripe"]) == (row["id"], how)
