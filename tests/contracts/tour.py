"""The tour of the sandbox after a payment: captures, disputes, payouts, and the objects of an operator."""

from deploy.sandbox.params import spec
from tests.contracts.documented import ACCOUNT, Client, Json, an_intent


async def captures(client: Client) -> None:
    for verb, form in (("capture", {"amount_to_capture": 12000}), ("cancel", {})):
        held = await an_intent(
            client,
            capture_method="manual",
            confirm="true",
            payment_method="pm_card_visa",
            return_url="https://x/",
        )
        assert (held["status"], held["amount_capturable"]) == ("requires_capture", 12500)
        ended = await client.post(f"payment_intents/{held['id']}/{verb}", **form)
        charge = await client.get(f"charges/{ended['latest_charge']}")
        assert (ended["amount_received"], charge["amount_refunded"]) == (
            (12000, 500) if verb == "capture" else (0, 12500)
        )
        await client.post(f"payment_intents/{held['id']}/capture", 400)


async def disputes(client: Client) -> None:
    """Won, lost, accepted, an inquiry, and one that becomes a chargeback."""
    for token, evidence, status in (
        ("pm_card_createDispute", "winning_evidence", "won"),
        ("pm_card_createDispute", "losing_evidence", "lost"),
        ("pm_card_createDisputeProductNotReceived", "the truth", "under_review"),
        ("pm_card_createDisputeInquiry", "winning_evidence", "warning_closed"),
        ("pm_card_createDisputeInquiry", "escalate_inquiry_evidence", "needs_response"),
    ):
        paid = await an_intent(client, confirm="true", payment_method=token, return_url="https://x/")
        [dispute] = (await client.get("disputes", payment_intent=paid["id"]))["data"]
        staged = await client.post(
            f"disputes/{dispute['id']}", evidence__product_description="A cleaning", submit="false"
        )
        assert staged["status"] == dispute["status"]
        sent = await client.post(f"disputes/{dispute['id']}", evidence__uncategorized_text=evidence)
        assert sent["status"] == status
    await client.post(f"disputes/{sent['id']}/close")
    await client.post(f"disputes/{sent['id']}/close", 400)
    await client.get(f"disputes/{sent['id']}")
    await client.get("disputes/du_none", 404)
    await an_intent(
        client, confirm="true", payment_method="pm_card_createIssuerFraudRecord", return_url="https://x/"
    )
    await an_intent(client, 402, confirm="true", payment_method="pm_card_radarBlock", return_url="https://x/")


async def payouts(client: Client) -> None:
    await an_intent(client, confirm="true", payment_method="pm_card_bypassPending", return_url="https://x/")
    for outcome in ("in_transit", "failed"):
        payout = await client.post("payouts", amount=1000, currency="eur")
        path = f"/accounts/{ACCOUNT}/payouts/{payout['id']}/settle"
        await client.sandbox.control("POST", path, {"outcome": outcome})
    payout = await client.post("payouts", amount=1000, currency="eur", metadata__a="b")
    await client.post(f"payouts/{payout['id']}", metadata__a="c")
    await client.post(f"payouts/{payout['id']}/cancel")
    await client.post(f"payouts/{payout['id']}/cancel", 400)
    await client.post("payouts", 400, amount=10**9, currency="eur")
    await client.get(f"payouts/{payout['id']}")


async def operators_objects(client: Client) -> None:
    """Webhook endpoints and domains of wallets."""
    form: Json = {"url": "https://pay.example.com/webhooks/stripe", "enabled_events__0": "charge.succeeded"}
    await client.post("webhook_endpoints", connect="true", **form)
    made = await client.post("webhook_endpoints", api_version=spec()["version"], **form)
    assert made["secret"].startswith("whsec_")
    changed = await client.post(f"webhook_endpoints/{made['id']}", disabled="true", enabled_events__0="*")
    assert (changed["status"], "secret" in changed) == ("disabled", False)
    client.checked(await client.http.delete(f"/v1/webhook_endpoints/{made['id']}"), 200)
    domain = await client.post("payment_method_domains", domain_name="pay.example.com")
    await client.post(f"payment_method_domains/{domain['id']}", enabled="false")
    await client.post(f"payment_method_domains/{domain['id']}/validate")
    await client.get(f"payment_method_domains/{domain['id']}")
    await client.post("payment_method_domains", 400, domain_name="127.0.0.1")
