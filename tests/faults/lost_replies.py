"""The other side has acted and its answer is lost; links that are slow, that break, that are cut."""

import asyncio

from tests.faults import checks, proxy
from tests.faults.drive import Bill, Client
from tests.faults.lab import Lab
from tests.faults.matrix import Play, scenario

AREA = "Lost replies and bad links"
COMMITTING = (
    "invoice.api",
    "invoice.worker",
    "payment.api",
    "payment.worker",
    "notification.worker",
    "gateway",
)
CUT_SECONDS = 8.0


async def paid(lab: Lab, client: Client) -> Bill:
    """One invoice, issued and paid, and everything at rest. Raises a `Breach` unless all of it happened once."""
    bill = await client.issue()
    await client.pay(bill)
    await at_rest(lab, bill)
    return bill


async def at_rest(lab: Lab, *bills: Bill, mails_may_repeat: bool = False) -> None:
    await checks.drained(lab, bills)
    for bill in bills:
        await checks.paid_once(lab, bill, mails_may_repeat=mails_may_repeat)


def _lose_commits(process: str, count: int) -> Play:
    async def play(lab: Lab, client: Client) -> str:
        loss = lab.link(f"postgres of {process}").lose(proxy.commit, count)
        await paid(lab, client)
        return f"{loss.lost} answers to COMMIT lost"

    return play


for _process in COMMITTING:
    scenario(AREA, f"PostgreSQL's answer to COMMIT, {_process}", quick=_process == "payment.worker")(
        _lose_commits(_process, 4)
    )


@scenario(AREA, "Kafka's answer to a produced batch", quick=True)
async def produced(lab: Lab, client: Client) -> str:
    loss = lab.link("kafka").lose(proxy.kafka_request(proxy.PRODUCE), 3)
    await paid(lab, client)
    return f"{loss.lost} answers lost"


@scenario(AREA, "Kafka's answer to an acknowledgement")
async def acknowledged(lab: Lab, client: Client) -> str:
    loss = lab.link("kafka").lose(proxy.kafka_request(proxy.OFFSET_COMMIT), 3)
    await paid(lab, client)
    return f"{loss.lost} answers lost"


@scenario(AREA, "Kafka's answer to a fetch")
async def fetched(lab: Lab, client: Client) -> str:
    loss = lab.link("kafka").lose(proxy.kafka_request(proxy.FETCH), 4)
    await paid(lab, client)
    return f"{loss.lost} answers lost"


@scenario(AREA, "Stripe's answer to a new PaymentIntent", quick=True)
async def intent_made(lab: Lab, client: Client) -> str:
    loss = lab.link("stripe").lose(proxy.http_request("POST /v1/payment_intents"), 3)
    await paid(lab, client)
    return f"{loss.lost} answers lost"


@scenario(AREA, "the last acknowledgement of the mail server and our record of it")
async def mailed(lab: Lab, client: Client) -> str:
    bill = await client.issue()
    await client.start(bill)
    await checks.drained(lab)
    loss = lab.link("postgres of notification.worker").lose(proxy.commit, 2)
    await client.pay(bill)
    await at_rest(lab, bill)
    return f"{loss.lost} answers to COMMIT lost"


@scenario(AREA, "every link 0.1 s slower each way")
async def slow(lab: Lab, client: Client) -> None:
    for link in lab.system.links.values():
        link.latency = 0.1
    await paid(lab, client)


@scenario(AREA, "PostgreSQL 3 s slower for payment.worker")
async def slow_database(lab: Lab, client: Client) -> None:
    lab.link("postgres of payment.worker").latency = 3.0
    bill = await client.issue()
    await client.pay(bill)
    await asyncio.sleep(5)
    lab.link("postgres of payment.worker").heal()
    await at_rest(lab, bill)


@scenario(AREA, "every connection broken, ten times over")
async def resets(lab: Lab, client: Client) -> None:
    async def breaking() -> None:
        for _ in range(10):
            for link in lab.system.links.values():
                link.reset()
            await asyncio.sleep(0.7)

    breaks = asyncio.create_task(breaking())
    bills = []
    for _ in range(4):
        bill = await client.issue()
        await client.pay(bill)
        bills.append(bill)
    await breaks
    await at_rest(lab, *bills, mails_may_repeat=True)


def _cut(names: tuple[str, ...], while_paying: bool) -> Play:
    async def play(lab: Lab, client: Client) -> None:
        bill = await client.issue()
        start = await client.start(bill)
        await checks.drained(lab)
        for name in names:
            lab.link(name).cut = True
        if while_paying:
            await client.confirm(start)
        await asyncio.sleep(CUT_SECONDS)
        for name in names:
            lab.link(name).heal()
        if not while_paying:
            await client.confirm(start)
        await at_rest(lab, bill)

    return play


for _fault, _names in {
    "payment.worker cut from PostgreSQL": ("postgres of payment.worker",),
    "invoice.worker cut from PostgreSQL": ("postgres of invoice.worker",),
    "relay cut from PostgreSQL": ("postgres of relay",),
    "everyone cut from Kafka": ("kafka",),
    "payment cut from Stripe": ("stripe",),
    "everyone cut from everything": (
        "kafka",
        "stripe",
        *(f"postgres of {name}" for name in (*COMMITTING, "relay", "notification.api")),
    ),
}.items():
    scenario(AREA, f"{_fault} for {CUT_SECONDS:.0f} s while a client pays")(_cut(_names, True))
