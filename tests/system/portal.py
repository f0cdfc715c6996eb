"""A client at a running system, over HTTP only: Billing History, paying, Paid, the receipt."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx2
import stamina

from deploy.local.demo.visitor import Refused, Visitor, confirm


@dataclass(frozen=True, slots=True)
class Row:
    """A row of Billing History, as text."""

    id: str
    number: str
    status: str
    method: str
    amount: str


@dataclass(frozen=True, slots=True)
class Started:
    """A payment that waits for its confirmation, with the payment page's data for its script."""

    id: str
    answer: dict[str, Any]
    publishable_key: str
    sandbox_url: str
    return_url: str


class Portal(Visitor):
    """A client's session. `Refused` is raised when the portal refuses."""

    async def billing_history(self, slug: str, status: str = "") -> list[Row]:
        """The first page of Billing History, newest first. `status`: "unpaid", "paid" or all."""
        cells = _read(await self.page(f"/c/{slug}/billing?status={status}")).rows
        names = ("number", "status", "method", "amount")
        return [Row(row, *(values[name] for name in names)) for row, values in cells.items()]

    async def start_payment(self, slug: str, invoice_id: str) -> Started:
        """Open the payment page and press Pay with a new card, for the amount that it shows."""
        page = _read(await self.page(f"/c/{slug}/invoices/{invoice_id}/pay"))
        [share] = json.loads(page.form["data-shares"])
        answer = await self.pay(slug, invoice_id, share["amount"])
        result = urljoin(str(self.http.base_url), page.form["data-result"] + answer["payment_id"])
        script = next(src for src in page.scripts if "/v3" in src)
        return Started(answer["payment_id"], answer, page.form["data-key"], urljoin(script, "/"), result)

    async def pay_several(self, slug: str, amounts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Press Pay for several invoices at once, with a new card: {invoice id: amount}. Answers PaymentStart."""
        await self.page(f"/c/{slug}/pay?" + "&".join(f"invoice={each}" for each in amounts))
        shares = [{"invoice_id": each, "amount": amount} for each, amount in amounts.items()]
        return await self._post_json(f"/c/{slug}/payments", {"invoices": shares, "method": {"kind": "card"}})

    async def pay_with_credit(
        self, slug: str, amounts: Mapping[str, dict[str, Any]], credit: dict[str, Any], *, alone: bool = False
    ) -> dict[str, Any]:
        """Press Pay with so much of one's credit, and with a new card for the rest. Answers PaymentStart."""
        await self.page(f"/c/{slug}/pay?credit=use&" + "&".join(f"invoice={each}" for each in amounts))
        shares = [{"invoice_id": each, "amount": amount} for each, amount in amounts.items()]
        body = {"invoices": shares, "credit": credit} | ({} if alone else {"method": {"kind": "card"}})
        return await self._post_json(f"/c/{slug}/payments", body)

    async def pay_deposit(self, slug: str, amount: dict[str, Any]) -> dict[str, Any]:
        """Press Pay before there is an invoice, with a new card. Answers PaymentStart."""
        await self.page(f"/c/{slug}/deposit?amount={amount['minor'] // 100}")
        return await self._post_json(
            f"/c/{slug}/payments", {"deposit": amount, "method": {"kind": "card"}, "invoices": []}
        )

    async def receives(self, slug: str, kind: str, id: str, status: str, within: float = 30) -> None:
        """Wait as an open page does until the "invoice" or "payment" has this status. TimeoutError otherwise."""
        stream = self.http.stream("GET", f"/c/{slug}/live", params={kind: id}, timeout=within)
        async with asyncio.timeout(within), stream as answer:
            async for line in answer.aiter_lines():
                news = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if (news.get("id"), news.get("status")) == (id, status):
                    return
        raise Refused(f"the stream of {kind} {id} ended before it was {status}")


async def pay_at_sandbox(started: Started, number: str = "4242424242424242") -> dict[str, Any]:
    """Enter a card and confirm, as the sandbox's script does in a browser. Returns the PaymentIntent."""
    card = {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": "123"}
    form = {"type": "card", **{f"card[{name}]": value for name, value in card.items()}}
    form |= {"key": started.publishable_key}
    if account := started.answer["stripe_account"]:
        form |= {"_stripe_account": account}
    async with httpx2.AsyncClient(base_url=started.sandbox_url, timeout=20) as http:
        answer = await http.post("/v1/payment_methods", data=form)
    if answer.is_error:
        raise Refused(f"the card was refused: {answer.status_code} {answer.text[:300]}")
    method = answer.json()["id"]
    return await confirm(
        started.sandbox_url, started.publishable_key, started.answer, method, started.return_url
    )


class NoReceipt(Exception):
    """No e-mail links to the payment's receipt yet."""


async def receipt(mailbox_url: str, to: str, payment_id: str, within: float = 30) -> dict[str, Any]:
    """The e-mail about a payment, from the mailbox; waits until it is there. Raises `NoReceipt`."""
    retries = stamina.retry_context(
        on=NoReceipt, attempts=None, timeout=within, wait_initial=0.1, wait_max=0.5
    )
    async with httpx2.AsyncClient(base_url=mailbox_url, timeout=20) as http:
        async for attempt in retries:
            with attempt:
                mails = (await http.get("/api/messages", params={"to": to})).json()
                found: list[dict[str, Any]] = [mail for mail in mails if payment_id in mail["text"]]
                if not found:
                    raise NoReceipt(payment_id)
                return found[0]
    raise NoReceipt(payment_id)


class _Page(HTMLParser):
    """Rows of a listing by id and cell, the payment form's attributes, addresses of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, str]] = {}
        self.form: dict[str, str] = {}
        self.scripts: list[str] = []
        self._cell = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "tr" and "data-id" in values:
            self.rows[values["data-id"]] = {}
        elif tag in ("td", "th"):
            names = [word.removeprefix("cell-") for word in values.get("class", "").split()]
            self._cell = names[0] if names else ""
        elif tag == "form" and values.get("id") == "pay":
            self.form = values
        elif tag == "script" and "src" in values:
            self.scripts.append(values["src"])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr"):
            self._cell = ""

    def handle_data(self, data: str) -> None:
        """Keep a cell's first text as its value; later texts are small print."""
        if self.rows and self._cell and data.strip():
            self.rows[next(reversed(self.rows))].setdefault(self._cell, data.strip())


def _read(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    return page
