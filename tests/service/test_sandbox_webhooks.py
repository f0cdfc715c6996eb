"""How webhooks arrive: at once, again until taken, after a restart, and badly on demand."""

import time
from pathlib import Path
from typing import Any

import httpx2
import stripe

from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from deploy.sandbox.testing import Inbox, webhook_inbox


async def post(sandbox: RunningSandbox, path: str, **form: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as http:
        answer = await http.post(f"/v1/{path}", data=form)
    answered: dict[str, Any] = answer.json()
    return answered


async def pay(sandbox: RunningSandbox) -> dict[str, Any]:
    return await post(
        sandbox, "payment_intents", amount=500, currency="eur", confirm="true", payment_method="pm_card_visa",
        return_url="https://shop.example/",
    )  # fmt: skip


async def event_id(sandbox: RunningSandbox, type: str) -> str:
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as http:
        events = await http.get("/v1/events", params={"type": type})
    return str(events.json()["data"][0]["id"])


async def test_a_webhook_is_sent_at_once(sandbox: RunningSandbox, inbox: Inbox) -> None:
    await pay(sandbox)
    began = time.monotonic()

    await inbox.wait_for("payment_intent.succeeded", seconds=1)

    assert time.monotonic() - began < 0.5


async def test_it_comes_again_until_it_is_taken(sandbox: RunningSandbox, inbox: Inbox) -> None:
    inbox.answers = [503, 500]
    customer = await post(sandbox, "customers")

    last = await inbox.wait_for("customer.created", count=3)

    assert [hook.event["data"]["object"]["id"] for hook in inbox.hooks] == [customer["id"]] * 3
    assert len({hook.body for hook in inbox.hooks}) == 1
    stripe.Webhook.construct_event(last.body, last.headers["stripe-signature"], sandbox.webhook_secret)


async def test_what_was_not_taken_outlives_a_restart(tmp_path: Path) -> None:
    async with webhook_inbox() as gone:
        port = int(gone.url.split(":")[2].split("/")[0])
    async with running_sandbox(gone.url, state=tmp_path / "sandbox.db") as sandbox:
        paid = await pay(sandbox)
    async with (
        webhook_inbox(port) as inbox,
        running_sandbox(inbox.url, state=tmp_path / "sandbox.db") as sandbox,
    ):
        hook = await inbox.wait_for("payment_intent.succeeded")
        again = await post(sandbox, f"payment_intents/{paid['id']}", **{"metadata[a]": "1"})

    assert hook.event["data"]["object"]["id"] == paid["id"]
    assert again["status"] == "succeeded"


async def test_one_comes_twice(sandbox: RunningSandbox, inbox: Inbox) -> None:
    await sandbox.control("POST", "/faults/webhooks", {"kind": "double", "type": "payment_intent.succeeded"})
    await pay(sandbox)
    await pay(sandbox)

    await inbox.wait_for("payment_intent.succeeded", count=3)

    first = [hook.event["id"] for hook in inbox.hooks if hook.event["type"] == "payment_intent.succeeded"]
    assert len(set(first)) == 2


async def test_they_come_in_the_wrong_order(sandbox: RunningSandbox, inbox: Inbox) -> None:
    await sandbox.control("POST", "/faults/webhooks", {"kind": "reorder", "type": "*", "count": 3})
    await pay(sandbox)

    await inbox.wait_for_any(3)

    assert inbox.types == ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]


async def test_what_reorder_holds_can_be_let_go(sandbox: RunningSandbox, inbox: Inbox) -> None:
    await sandbox.control("POST", "/faults/webhooks", {"kind": "reorder", "type": "charge.*", "count": 9})
    await pay(sandbox)
    await inbox.wait_for("payment_intent.succeeded")
    assert "charge.succeeded" not in inbox.types

    await sandbox.control("DELETE", "/faults")

    await inbox.wait_for("charge.succeeded")


async def test_one_comes_late(sandbox: RunningSandbox, inbox: Inbox) -> None:
    fault = {"kind": "delay", "type": "payment_intent.created", "milliseconds": 150}
    await sandbox.control("POST", "/faults/webhooks", fault)
    await pay(sandbox)

    await inbox.wait_for("payment_intent.created")

    assert inbox.types.index("payment_intent.created") > inbox.types.index("payment_intent.succeeded")


async def test_one_that_never_came_can_be_sent_again(sandbox: RunningSandbox, inbox: Inbox) -> None:
    await sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "type": "payment_intent.succeeded"})
    await pay(sandbox)
    await inbox.wait_for("charge.succeeded")
    dropped = (await sandbox.control("GET", "/counts"))["webhooks"]["dropped"]

    await sandbox.control("POST", f"/events/{await event_id(sandbox, 'payment_intent.succeeded')}/resend")

    assert dropped == 1
    await inbox.wait_for("payment_intent.succeeded")


async def test_an_account_that_may_no_longer_charge_says_so(sandbox: RunningSandbox, inbox: Inbox) -> None:
    await sandbox.control("PUT", "/accounts/acct_clinic", {})

    await sandbox.control("PUT", "/accounts/acct_clinic", {"charges_enabled": False})

    event = (await inbox.wait_for("account.updated")).event
    assert (event["account"], event["data"]["previous_attributes"]) == (
        "acct_clinic",
        {"charges_enabled": True},
    )
