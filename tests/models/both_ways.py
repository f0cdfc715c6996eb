"""A clinic's staff, Stripe's dashboard and banks, and what they do with money that came in."""

from functools import partial
from typing import Any
from uuid import UUID

import httpx2

from contracts.vocabulary import OutsideKind, RefundDestination
from deploy.sandbox.errors import Json
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.chassis.queue.working import Worker
from services.payment import consumers
from services.payment.disputes.sweep import sweep_disputes
from services.payment.payments.sweep import sweep_payments
from services.payment.refunds import stripe_calls as refunds
from services.payment.refunds.planning import PaymentRefundRequest
from services.payment.refunds.sweep import comparing, list_refunds, sweep_refunds
from tests.builders.callers import a_caller
from tests.builders.invoices import invoice_body
from tests.models.clinic import CURRENCY, ModelClinic
from tests.models.services import Crash
from tests.running.apps import Client


class BothWays(ModelClinic):
    """`refused` holds the codes of refusals too: each verb is tried whatever the state is."""

    # what staff do

    async def ask(self, service: Client, method: str, path: str, body: Json) -> Json | None:
        """A request of staff; None when it was refused. A fault of ours is no refusal."""
        headers = {"Idempotency-Key": str(new_id())}
        caller = a_caller("staff", self.clinic_id)
        answer = await service.call(method, path, caller, json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        answered: Json = answer.json()
        if answer.status_code >= 400:
            self.refused.append(answered["code"])
            return None
        return answered

    async def correct(self, invoice_id: UUID, verb: str, minor: int | None) -> None:
        """Void it, credit it, write it off, or put another invoice in its place; all or a sum of it."""
        body: Json = {"reason": "goodwill"}
        if minor is not None and verb in ("credit-notes", "write-off"):
            body["amount"] = {"minor": minor, "currency": CURRENCY}
        if verb == "correct":
            body["invoice"] = invoice_body(self.client_id, minor or 5_000, currency=CURRENCY)
        await self.ask(self.parts.invoices, "POST", f"/invoices/{invoice_id}/{verb}", body)

    async def record(self, kind: OutsideKind, minor: int, location: str) -> None:
        """Money outside Stripe, for what is due first."""
        body = {
            "client_id": str(self.client_id),
            "kind": kind,
            "amount": minor,
            "currency": CURRENCY,
            "location": location,
        }
        await self.ask(self.parts.payments, "POST", "/payments/recorded", body)

    async def reverse(self, payment_id: UUID) -> None:
        path = f"/payments/{payment_id}/reverse"
        await self.ask(self.parts.payments, "POST", path, {"reason": "returned"})

    async def use_credit(self) -> None:
        body = {"client_id": str(self.client_id), "currency": CURRENCY}
        await self.ask(self.parts.payments, "POST", "/credit/uses", body)

    async def close_cash(self, counted: int, location: str) -> None:
        body = {"counted": counted, "currency": CURRENCY, "location": location}
        await self.ask(self.parts.payments, "POST", "/cash-closings", body)

    async def refund(self, payment_id: UUID, minor: int | None, to: RefundDestination) -> None:
        """Refund a payment, and send it. The process may end at any call."""
        transaction = partial(self.parts.payment.api.tx, self.clinic_id)
        request, key = PaymentRefundRequest(payment_id, minor, None, to), str(new_id())
        caller = a_caller("staff", self.clinic_id)
        try:
            made = await refunds.start(
                transaction, self.parts.stripe, caller, request, key=key, body=key.encode()
            )
            await refunds.send(transaction, self.parts.stripe, self.clinic_id, made)
        except (DomainError, Crash) as refusal:
            self.refused.append(refusal.code if isinstance(refusal, DomainError) else "crash")

    async def dismiss_exceptions(self) -> None:
        """A person has seen what cannot be booked."""
        rows = await self.parts.payment.admin.fetch("SELECT id FROM exceptions WHERE settled_at IS NULL")
        for row in rows:
            path = f"/exceptions/{row['id']}/settle"
            assert await self.ask(self.parts.payments, "POST", path, {"how": "dismiss"}), self.refused

    # what happens at Stripe

    async def refund_in_dashboard(self, charge: Json, minor: int) -> None:
        form = {"charge": charge["id"], "amount": str(minor)}
        headers = {
            "Authorization": f"Bearer {self.parts.sandbox.secret_key}",
            "Stripe-Account": self.account,
        }
        answer = await self.parts.browser.post("/v1/refunds", data=form, headers=headers)
        if answer.status_code != 200:
            self.refused.append(str(answer.json()["error"].get("code")))

    async def dispute(self, charge: Json, status: str, minor: int | None) -> None:
        await self.bank(f"charges/{charge['id']}/dispute", {"status": status, "amount": minor})

    async def end_dispute(self, dispute: Json, outcome: str) -> None:
        await self.bank(f"disputes/{dispute['id']}/end", {"outcome": outcome})

    async def settle_refund(self, refund: Json, outcome: str) -> None:
        await self.bank(f"refunds/{refund['id']}/settle", {"outcome": outcome})

    async def bank(self, path: str, body: Json) -> None:
        """The bank's act, if it can act so now."""
        try:
            await self.parts.sandbox.control("POST", f"/accounts/{self.account}/{path}", body)
        except httpx2.HTTPStatusError as refused:
            assert refused.response.status_code < 500, refused.response.text
            self.refused.append("bank")

    # what time does

    async def sweep(self) -> None:
        """Ask Stripe about everything, as the sweeps do, and list what is not known. Nothing is too young for it."""
        db, stripe, now = self.parts.payment, self.parts.stripe, "interval '30 days'"
        await db.admin.execute(
            f"""
            UPDATE payments SET checked_at = checked_at - {now};
            UPDATE refunds SET checked_at = checked_at - {now};
            UPDATE disputes SET checked_at = checked_at - {now};
            INSERT INTO account_states (account) SELECT DISTINCT account FROM payments ON CONFLICT DO NOTHING;
            UPDATE account_states SET refunds_listed_at = '-infinity', disputes_listed_at = '-infinity'
            """
        )
        try:
            await sweep_payments(db.worker, stripe)
            await sweep_refunds(db.worker, stripe)
            await list_refunds(db.worker, stripe)
            await sweep_disputes(db.worker, stripe, consumers.apply_stripe_events)
        except Crash:
            self.refused.append("crash")

    async def work(self) -> int:
        """Do the tasks, also the ones that wait after a fault; their number."""
        await self.parts.payment.admin.execute("UPDATE tasks SET due_at = app_now() WHERE state = 'due'")
        handlers: list[Any] = [comparing(self.parts.payment.worker, self.parts.stripe)]
        return await Worker(self.parts.payment.worker, handlers).work_due()

    # what Stripe knows

    def refunds(self) -> list[Json]:
        return self._objects("refund")

    def disputes(self) -> list[Json]:
        return self._objects("dispute")
