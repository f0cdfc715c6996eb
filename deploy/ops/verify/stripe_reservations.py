"""Reservations older than a day against their intents at Stripe. One that is over holds an invoice for nobody."""

import stripe
from stripe import StripeClient

from deploy.ops.stripe_client import of_account
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.report import Breach

SAYS = {"reservations_are_live": "The intent of a reservation that is older than a day may still be paid"}
MOST = 100
"""Intents of an account that are asked about, oldest first. The sweeps end nearly all within a day."""
_OLD = """
    SELECT p.clinic_id, p.id AS payment_id, p.status, p.stripe_payment_intent_id AS intent
    FROM payments AS p
    WHERE p.account = $1 AND p.stripe_payment_intent_id IS NOT NULL
        AND p.created_at < app_now() - interval '1 day' AND (p.clinic_id, p.id) IN (
            SELECT clinic_id, payment_id FROM allocations WHERE state = 'open'
        )
    ORDER BY p.created_at LIMIT $2
"""


async def compare_account(client: StripeClient, databases: Databases, account: str) -> list[Breach]:
    breaches = []
    for row in await databases["payment"].fetch(_OLD, account, MOST):
        try:
            found = await client.v1.payment_intents.retrieve_async(row["intent"], None, of_account(account))
            there = found.status
        except stripe.InvalidRequestError:
            there = "gone"
        if there in ("canceled", "gone"):
            breaches.append(Breach("reservations_are_live", {**row, "at Stripe": there}))
    return breaches
