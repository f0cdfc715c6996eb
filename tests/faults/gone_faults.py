"""Objects and accounts that are gone at Stripe, and records that are no events."""

from aiokafka import AIOKafkaProducer

from contracts.events.payment import PaymentSettled
from deploy.local.demo.visitor import Refused
from deploy.ops.parked import discard
from tests.faults import checks
from tests.faults.drive import ACCOUNT, Bill, Client, TryAgain
from tests.faults.lab import Lab
from tests.faults.lost_replies import at_rest
from tests.faults.matrix import scenario
from tests.running.system import until

AREA = "Gone"


@scenario(AREA, "an intent that is deleted at Stripe between two presses")
async def object_gone(lab: Lab, client: Client) -> None:
    bill = await client.issue()
    await client.start(bill)
    await lab.control("DELETE", f"/accounts/{ACCOUNT}/objects/{bill.intent_id}")
    await client.pay(bill)
    await at_rest(lab, bill)


@scenario(AREA, "an account that is revoked in mid-flight, and connected again")
async def account_revoked(lab: Lab, client: Client) -> None:
    """The press after it is refused and holds nothing; once the account is there again, the same invoice is paid."""
    bill = await client.issue()
    await client.start(bill)
    await lab.control("DELETE", f"/accounts/{ACCOUNT}")
    try:
        if await _presses(client, bill):
            raise checks.Breach("a payment was started on an account without access")
        await lab.sweep_now()
    finally:
        await lab.control("PUT", f"/accounts/{ACCOUNT}", {})
    await until(lambda: _pays(client, bill), 120)
    await at_rest(lab, bill)


async def _presses(client: Client, bill: Bill) -> bool:
    amount = {"minor": bill.total, "currency": "EUR"}
    try:
        await client.visitor.pay("faults", bill.id, amount, {"kind": "card"})
    except (Refused, TryAgain):
        return False
    return True


async def _pays(client: Client, bill: Bill) -> bool:
    if not await _presses(client, bill):
        return False
    await client.pay(bill)
    return True


@scenario(AREA, "a record that is no event under the key of an open invoice, which is then paid")
async def undecodable(lab: Lab, client: Client) -> str:
    """It holds back nobody's money; the operator discards it, and the books are right."""
    bill = await client.issue()
    await checks.drained(lab)
    producer = AIOKafkaProducer(bootstrap_servers=lab.system.kafka.bootstrap_servers)
    await producer.start()
    try:
        for value in (b"\x00garbage", b"{}", None):
            await producer.send_and_wait(PaymentSettled.topic.name, value=value, key=bill.id.encode())
    finally:
        await producer.stop()
    waiting = "SELECT id, reason FROM parked WHERE state = 'waiting' ORDER BY id"
    await until(lambda: _all_parked(lab), 60)
    await client.pay(bill)
    await at_rest(lab, bill)
    rows = await lab.sql("invoice", waiting)
    for row in rows:
        await discard("invoice", lab.system.dsns["invoice_worker"], row["id"], "faults", "no event of ours")
    return f"{len(rows)} records parked and discarded"


async def _all_parked(lab: Lab) -> bool:
    return bool(await lab.value("invoice", "SELECT count(*) = 3 FROM parked WHERE state = 'waiting'"))
