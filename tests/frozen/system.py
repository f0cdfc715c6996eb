"""All services in this process, each on its database, with the sandbox as Stripe and a real mail server.

Kafka and the delivery of Stripe's webhooks are missing: the events in the outboxes and Stripe's webhooks are delivered
to the real consumers until there are no new ones.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

import httpx2

from contracts.events.envelope import CloudEvent
from contracts.events.stripe import StripeEvent
from deploy.local.demo.visitor import Visitor
from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from deploy.sandbox.recorder import Recorded
from services.chassis.kafka.park import Record
from services.notification.emails.sending import Sender
from services.payment.consumers import ACTED_ON
from services.payment.stripe import webhooks
from tests.builders.events import CONSUMERS, deliver_records, record
from tests.frozen.picture import Dbs
from tests.running.apps import in_own_task
from tests.running.gateway import Site, a_whole_site
from tests.running.notification import MailServer, a_mail_server, sending
from tests.running.settings import SEAL


@dataclass
class WholeSystem:
    dbs: Dbs
    site: Site
    visitor: Visitor
    sandbox: RunningSandbox
    browser: httpx2.AsyncClient
    mail: MailServer
    sender: Sender
    account: str
    events: list[Record] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)
    _webhooks_read: int = 0
    _counted: tuple[int, int, int] = (0, 0, 0)

    async def settle(self) -> None:
        """Hand on everything until there is nothing new, and send the e-mails."""
        while records := [*await self._new_outbox_events(), *self._new_webhooks()]:
            await self.hand_on(records)
        while await self.sender.send_due():
            await self._hand_on_new()

    async def _hand_on_new(self) -> None:
        await self.hand_on(await self._new_outbox_events())

    async def hand_on(self, records: Sequence[Record]) -> None:
        self.events += records
        for service, consumers in CONSUMERS.items():
            await deliver_records(self.dbs[service].worker, consumers, records)

    async def publish(self, event: CloudEvent) -> None:
        await self.hand_on([record(event)])

    async def begin(self) -> None:
        """Leave out what the databases hold already."""
        for service in CONSUMERS:
            self._read[service] = await self.dbs[service].admin.fetchval(
                "SELECT coalesce(max(seq), 0) FROM outbox"
            )

    async def _new_outbox_events(self) -> list[Record]:
        """The events in the outboxes since the last time."""
        found = []
        for service in CONSUMERS:
            rows = await self.dbs[service].admin.fetch(
                "SELECT seq, aggregatetype, aggregateid, payload FROM outbox WHERE seq > $1 ORDER BY seq",
                self._read[service],
            )
            self._read[service] = rows[-1]["seq"] if rows else self._read[service]
            found += [
                Record(row["aggregatetype"], 0, row["seq"], row["aggregateid"].encode(), row["payload"])
                for row in rows
            ]
        return found

    def _new_webhooks(self) -> list[Record]:
        """Stripe's webhooks since the last time, as the edge publishes them."""
        found, _ = self.sandbox.inside.store.page(self.account, "event", {"limit": 1000})
        bodies = found[::-1][self._webhooks_read :]
        self._webhooks_read = len(found)
        read = (webhooks.read(body, False, ACTED_ON, SEAL) for body in bodies)
        return [record(event) for event in read if isinstance(event, StripeEvent)]

    def new(self) -> tuple[list[Recorded], list[Record], list[EmailMessage]]:
        """Our calls at Stripe, events and e-mails since the last time."""
        calls = [each for each in self.sandbox.requests() if not each.public]
        before, self._counted = self._counted, (len(calls), len(self.events), len(self.mail.inbox))
        return calls[before[0] :], self.events[before[1] :], self.mail.inbox[before[2] :]


@asynccontextmanager
async def a_whole_system(dbs: Dbs, account: str) -> AsyncIterator[WholeSystem]:
    """`account` is the clinic's."""
    async with in_own_task(_a_whole_system(dbs, account)) as system:
        yield system


@asynccontextmanager
async def _a_whole_system(dbs: Dbs, account: str) -> AsyncIterator[WholeSystem]:
    in_order = [dbs[name] for name in ("gateway", "invoice", "payment", "notification")]
    async with running_sandbox() as sandbox, a_mail_server() as mail:
        at_stripe = {
            "stripe_secret_key": sandbox.secret_key,
            "stripe_api_base": sandbox.url,
            "installation": SEAL.installation,
            "metadata_key": SEAL.keys[0].decode(),
        }
        async with (
            sending(dbs["notification"], mail.port) as sender,
            a_whole_site(*in_order, payment_settings=at_stripe) as site,
            httpx2.AsyncClient(base_url=sandbox.url, trust_env=False) as browser,
        ):
            await sandbox.control("PUT", f"/accounts/{account}", {})
            visitor = Visitor("http://portal.test")
            visitor.http = site.client
            system = WholeSystem(dbs, site, visitor, sandbox, browser, mail, sender, account)
            await system.begin()
            yield system
