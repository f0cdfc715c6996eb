"""Idempotency keys: what Stripe is called with, what the gateway keeps of its callers', and the ids made from those."""

import re
from typing import Any

from services.payment.methods import store as methods
from tests.frozen import stripe_calls
from tests.frozen.picture import Dbs
from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, CLINIC, PASSWORD, a_whole_site

_NEW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-(?!00000000)[0-9a-f]{12}")
"""An id that is new each time, ours or of Stripe's SDK: the fixed ones end in a small number."""


async def draw(dbs: Dbs) -> Any:
    asked = await stripe_calls.received(dbs["payment"])
    return {
        "at Stripe": {name: _without_new_ids(each.idempotency_key) for name, each in asked.items()},
        "a customer's": await _customers(dbs["payment"]),
        "kept by the gateway": await _kept(dbs),
    }


async def _customers(db: ServiceDb) -> dict[str, str]:
    """Of a customer, and after an error that Stripe keeps under the first key."""
    customer = await stripe_calls.claimed(db, "acct_other")
    async with db.worker.worker_tx() as tx:
        await methods.renew_customer_key(tx, customer)
    renewed = await stripe_calls.claimed(db, "acct_other")
    return {"first": customer.idempotency_key, "renewed": renewed.idempotency_key}


async def _kept(dbs: Dbs) -> list[str]:
    in_order = [dbs[name] for name in ("gateway", "invoice", "payment", "notification")]
    async with a_whole_site(*in_order) as site:
        clinic = (await _post(site, "/clinics", CLINIC, "a-clinic"))["id"]
        await _post(site, f"/clinics/{clinic}/clients", CLIENT, "a-client")
        await _post(
            site, f"/clinics/{clinic}/staff", {"email": "s@example.com", "password": PASSWORD}, "staff"
        )
        await _post(site, f"/clinics/{clinic}/api-keys", {"name": "desk"}, "an-api-key")
    rows = await dbs["gateway"].admin.fetch("SELECT key FROM key_uses")
    return sorted(row["key"].replace(clinic, "{clinic}") for row in rows)


async def _post(site: Any, path: str, body: Any, key: str) -> Any:
    answer = await site.api("POST", path, json=body, headers={"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _without_new_ids(key: str | None) -> str | None:
    return None if key is None else _NEW_ID.sub("{new id}", key)
