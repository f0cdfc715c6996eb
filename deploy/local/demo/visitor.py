"""A client of a clinic, played by a program over HTTP: it logs in, starts a payment and confirms it at the sandbox.

It takes the ways that a browser takes and no other: forms with their CSRF token, the page's own request, and the
sandbox's public API with the publishable key.
"""

import re
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx2

_CSRF = re.compile(r'<meta name="csrf-token" content="([^"]+)"')
_INVITATION = re.compile(
    r'action="/clinics/invitations">.*?name="slug" value="(?P<slug>[^"]+)".*?name="place" value="(?P<place>[^"]+)"',
    re.DOTALL,
)


class Refused(Exception):
    """The portal or the sandbox said no; the message holds the status and the answer's code."""


class Visitor:
    """One session at the portal. Use it as an async context manager."""

    def __init__(self, portal_url: str) -> None:
        self.http = httpx2.AsyncClient(base_url=portal_url, timeout=20, follow_redirects=True)
        self._csrf = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def page(self, path: str) -> str:
        """A page's HTML. Raises `Refused` when it is not there for this visitor."""
        answer = await self.http.get(path)
        _check(answer)
        found = _CSRF.search(answer.text)
        self._csrf = found.group(1) if found else self._csrf
        return answer.text

    async def log_in(self, email: str, password: str) -> None:
        await self.page("/login")
        form = {"email": email, "password": password, "next": "", "_csrf_token": self._csrf}
        _check(await self.http.post("/login", data=form))

    async def accept_invitations(self) -> None:
        """Accept every clinic that waits for this login's owner."""
        while found := _INVITATION.search(await self.page("/clinics")):
            form = {**found.groupdict(), "answer": "accept", "_csrf_token": self._csrf}
            _check(await self.http.post("/clinics/invitations", data=form))

    async def pay(
        self,
        slug: str,
        invoice_id: UUID | str,
        amount: dict[str, Any],
        method: dict[str, Any] | None = None,
        *,
        save: bool = False,
    ) -> dict[str, Any]:
        """Start a payment as the page's script does. `amount` is {minor, currency}. Answers PaymentStart."""
        page = await self.page(f"/c/{slug}/invoices/{invoice_id}/pay")
        method = method or {"kind": "card"}
        shown = re.search(rf'data-{"mandate" if method["kind"] == "debit" else "saving"}="([^"]*)"', page)
        return await self._post_json(
            f"/c/{slug}/payments",
            {
                "invoices": [{"invoice_id": str(invoice_id), "amount": amount}],
                "method": method,
                "save": save,
                "consent": shown[1] if shown else "",
            },
        )

    async def _post_json(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post(path, json=body, headers={"x-csrftoken": self._csrf})
        _check(answer)
        found: dict[str, Any] = answer.json()
        return found


async def confirm(
    sandbox_url: str, publishable_key: str, start: dict[str, Any], payment_method: str, return_url: str
) -> dict[str, Any]:
    """Confirm a started payment at the sandbox as its script does. Answers the PaymentIntent, or raises `Refused`."""
    secret = start["client_secret"]
    account = start.get("stripe_account")
    async with httpx2.AsyncClient(base_url=sandbox_url, timeout=20) as http:
        answer = await http.post(
            f"/v1/payment_intents/{secret.split('_secret_')[0]}/confirm",
            data={"client_secret": secret, "payment_method": payment_method, "return_url": return_url},
            headers={
                "Authorization": f"Bearer {publishable_key}",
                **({"Stripe-Account": account} if account else {}),
            },
        )
    _check(answer)
    intent: dict[str, Any] = answer.json()
    return intent


def _check(answer: httpx2.Response) -> None:
    if answer.is_error:
        path = answer.request.url.path
        raise Refused(f"{answer.request.method} {path}: {answer.status_code} {answer.text[:300]}")
