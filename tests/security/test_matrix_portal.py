"""The portal's pages, opened by everybody: a client's things are for that client, signed in."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from contracts import consents
from services.chassis import clock
from tests.running.gateway import Site
from tests.running.settings import gateway_settings
from tests.running.two_clinics import Owner, TwoClinics
from tests.security.test_matrix_services import OWN_TRIES, leaked_by, operations_of

Scope = Literal["client", "clinic"]


@dataclass(frozen=True, slots=True)
class Page:
    """`client`: about a thing of one client's. `clinic`: each client of the clinic sees their own here."""

    scope: Scope
    body: Callable[[Owner], Any] | None = None
    form: dict[str, str] = field(default_factory=dict)


def _payment(owner: Owner) -> dict[str, Any]:
    share = {"invoice_id": str(owner.ids["invoice_id"]), "amount": {"minor": 10_000, "currency": "EUR"}}
    return {"invoices": [share], "method": {"kind": "card"}, "save": False}


def _saving(owner: Owner) -> dict[str, Any]:
    return {"consent": consents.saving("Clinic alder").mark}


PAGES = {
    "GET /c/{slug}": Page("clinic"),
    "GET /c/{slug}/billing": Page("clinic"),
    "GET /c/{slug}/billing.csv": Page("clinic"),
    "GET /c/{slug}/billing.zip": Page("clinic"),
    "GET /c/{slug}/statement": Page("clinic"),
    "GET /c/{slug}/invoices/{invoice_id}": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/pdf": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/receipt": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/credit-notes/{document_id}/pdf": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/xml": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/credit-notes/{document_id}/xml": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/details": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/credit-notes": Page("client"),
    "GET /c/{slug}/invoices/{invoice_id}/pay": Page("client"),
    "GET /c/{slug}/pay": Page("clinic"),
    "GET /c/{slug}/deposit": Page("clinic"),
    "POST /c/{slug}/payments": Page("client", body=_payment),
    "GET /c/{slug}/payments/{payment_id}": Page("client"),
    "GET /c/{slug}/methods": Page("clinic"),
    "GET /c/{slug}/methods/add": Page("clinic"),
    "POST /c/{slug}/methods/setup": Page("clinic", body=_saving),
    "GET /c/{slug}/methods/{method_id}/remove": Page("client"),
    "GET /c/{slug}/methods/{method_id}/name": Page("client"),
    "POST /c/{slug}/methods/{method_id}/name": Page("client"),
    "POST /c/{slug}/methods/{method_id}/default": Page("client"),
    "POST /c/{slug}/methods/{method_id}/remove": Page("client"),
    "GET /c/{slug}/help": Page("clinic"),
    "GET /c/{slug}/help/{article}": Page("clinic"),
    "GET /c/{slug}/contact": Page("clinic"),
    "GET /clinics": Page("clinic"),
    "POST /clinics": Page("clinic"),
    "POST /clinics/invitations": Page("clinic"),
    "GET /c/{slug}/profile": Page("clinic"),
    "POST /c/{slug}/profile/password": Page("clinic"),
    "POST /c/{slug}/profile/email": Page("clinic"),
    "GET /c/{slug}/profile/second-factor": Page("clinic"),
    "POST /c/{slug}/profile/second-factor": Page("clinic"),
    "POST /c/{slug}/profile/second-factor/confirm": Page("clinic"),
    "POST /c/{slug}/profile/second-factor/off": Page("clinic"),
    "POST /c/{slug}/profile/second-factor/codes": Page("clinic"),
    "GET /c/{slug}/profile/passkeys": Page("clinic"),
    "POST /c/{slug}/profile/passkeys": Page("clinic"),
    "POST /c/{slug}/profile/passkeys/made": Page("clinic"),
    "POST /c/{slug}/profile/passkeys/{passkey_id}/remove": Page("clinic"),
    "POST /c/{slug}/profile/sessions/{handle}/end": Page("clinic"),
    "POST /c/{slug}/profile/mail": Page("clinic"),
    # The last one, since it logs its visitors out.
    "POST /c/{slug}/profile/sessions/end": Page("clinic"),
}
OWN = {
    "POST /c/{slug}/methods/setup": {"payment.customers", "payment.consents"},
    "POST /c/{slug}/profile/mail": {"notification.unwanted_mail"},
}
"""Tables with rows of bob's own: his customer at Stripe, his choice of e-mails. Elsewhere, his presses of Pay."""
NEEDS_CHOICE = {"POST /clinics", "POST /clinics/invitations"}
"""Asked here without a clinic and a client, so nothing opens: tests/service/test_families.py names them."""
EMPTY = {
    "POST /c/{slug}/profile/password": {400},
    "POST /c/{slug}/profile/email": {400},
    "POST /c/{slug}/profile/second-factor": {400, 401},
    "POST /c/{slug}/profile/second-factor/confirm": {409},
    "POST /c/{slug}/profile/second-factor/off": {400, 401},
    "POST /c/{slug}/profile/second-factor/codes": {400, 401},
    "POST /c/{slug}/profile/passkeys": {400, 429},
    "POST /c/{slug}/profile/passkeys/made": {409},
    "POST /c/{slug}/profile/passkeys/{passkey_id}/remove": {400, 429},
}
"""Their statuses for an empty form. Tests of the profile, the second factor and passkeys (tests/service) fill it in.

429: wrong present passwords count together."""
NOT_THERE = {
    "GET /c/{slug}/invoices/{invoice_id}/receipt": {409},
    "GET /c/{slug}/invoices/{invoice_id}/credit-notes/{document_id}/pdf": {404},
    "GET /c/{slug}/invoices/{invoice_id}/xml": {409},
    "GET /c/{slug}/invoices/{invoice_id}/credit-notes/{document_id}/xml": {404},
}
"""Nothing is paid or credited of the invoice, and it is no e-invoice: tests/service/test_printing.py opens these."""
STREAM = "GET /c/{slug}/live"
"""Endless for whom it is for: tests/service/test_gateway_live.py opens it as them."""
BY_LINK = {
    "GET /pay/{token}",
    "POST /pay/{token}/payments",
    "GET /pay/{token}/payments/{payment_id}",
    "GET /pay/{token}/live",
}
"""Opened by the address of an invoice of ann's, with any login or none."""
FOR_ALL = {
    *("GET /", "GET /login", "POST /login", "POST /logout", "GET /c/{slug}/theme.css"),
    *("GET /login/second", "POST /login/second"),
    *("GET /login/code", "POST /login/code", "GET /login/code/sent", "POST /login/code/sent"),
    *("POST /login/passkey/options", "POST /login/passkey"),
    *("GET /login/link/{token}", "POST /login/link/{token}"),
    *("GET /password", "POST /password", "GET /password/{token}", "POST /password/{token}"),
    *("GET /mail/{token}", "POST /mail/{token}"),
    *("GET /invitation/{token}", "POST /invitation/{token}", "GET /email/{token}", "POST /email/{token}"),
    *("GET /static/{file_path}", "HEAD /static/{file_path}"),
    *("POST /webhooks/stripe", "GET /healthz/live", "GET /healthz/ready", "GET /healthz/system"),
}


@pytest.fixture(scope="module")
async def visitors(two: TwoClinics) -> AsyncIterator[dict[str, Site]]:
    """A browser for each: nobody, the clients, and alder's staff."""
    emails = {"nobody": None, "ann": two.ann.email, "bob": two.bob.email, "cat": two.cat.email}
    async with AsyncExitStack() as stack:
        yield {
            who: await stack.enter_async_context(two.visitor(email))
            for who, email in {**emails, "staff": "staff@alder.test"}.items()
        }


async def test_every_page_has_a_rule(two: TwoClinics) -> None:
    answered = {
        each for each in operations_of(two.apps["gateway"]) if not each.split()[1].startswith("/api/")
    }

    assert answered - FOR_ALL == {*PAGES, STREAM, *BY_LINK}


@pytest.mark.parametrize("operation", sorted(BY_LINK))
async def test_a_pay_link_opens_by_its_token_alone(
    two: TwoClinics, visitors: dict[str, Site], operation: str
) -> None:
    """No session and no key opens it; with the token it opens the same for all, and only that invoice."""
    links = gateway_settings("x").pay_links
    today = clock.now().date()
    own = links.token(links.new(two.ann.clinic_id, two.ann.invoice_id, 0, today, today))
    crossed = links.token(links.new(two.cat.clinic_id, two.ann.invoice_id, 0, today, today))
    for who, visitor in visitors.items():
        for token in ("x", two.keys["alder"], own[:-1], own.swapcase(), crossed):
            answer = await _by_link(two, visitor, operation, token)
            assert answer.status_code == 410, (who, answer.text)
            assert not leaked_by(two.ann, operation.replace("{token}", token), None, answer.text), who
        if operation.endswith("/live"):
            continue  # endless for who has the token: `test_gateway_live`
        before = await two.rows_of(two.ann.clinic_id, "invoice", "payment", "notification", "gateway")
        answer = await _by_link(two, visitor, operation, own)
        assert answer.status_code in {200, 303}, (who, answer.text)
        others = {two.ann.name, two.ann.email, str(two.ann.client_id), str(two.ann.paid_invoice_id)}
        assert not [each for each in others if each in answer.text], who
        if operation.startswith("GET"):
            after = await two.rows_of(two.ann.clinic_id, "invoice", "payment", "notification", "gateway")
            assert after == before, who


async def _by_link(two: TwoClinics, visitor: Site, operation: str, token: str) -> Any:
    """With the visitor's session and an API key beside the token."""
    method, path = operation.split()
    headers = {"Accept": "text/html", "Authorization": f"Bearer {two.keys['alder']}"}
    more: dict[str, Any] = {}
    if method == "POST":
        headers["x-csrftoken"] = visitor.cookie("csrf") or ""
        body = _payment(two.ann)
        more = {"json": {name: body[name] for name in ("invoices", "method")}}
    return await visitor.client.request(
        method,
        path.format_map({**two.ann.ids, "token": token}),
        headers=headers,
        follow_redirects=False,
        **more,
    )


@pytest.mark.parametrize("operation", PAGES)
async def test_a_page_is_for_its_client(two: TwoClinics, visitors: dict[str, Site], operation: str) -> None:
    refused = {"nobody", "bob", "cat"} if PAGES[operation].scope == "client" else {"nobody", "cat"}
    for who in ("nobody", "cat", "bob", "staff"):
        answer = await _shows_nothing(two, visitors[who], operation, who)
        # Which clinics there are to choose from is each one's own.
        assert who not in refused or " /clinics" in operation or _is_refusal(answer, operation), who
    answer = await _open(two, visitors["ann"], operation)
    allowed = {200, 303} | EMPTY.get(operation, set()) | NOT_THERE.get(operation, set())
    assert answer.status_code in ({404} if operation in NEEDS_CHOICE else allowed)


async def test_a_stream_is_for_the_clinics_clients(two: TwoClinics, visitors: dict[str, Site]) -> None:
    for who in ("nobody", "cat"):
        assert _is_refusal(await _shows_nothing(two, visitors[who], STREAM, who), STREAM)


def _is_refusal(answer: Any, operation: str) -> bool:
    """For a card that is not there the list of one's own is shown again."""
    lists = (
        ("/c/alder/methods?done=removed", "/c/alder/methods?done=gone") if "{method_id}" in operation else ()
    )
    led = answer.status_code == 303 and answer.headers["location"].startswith(("/login", *lists))
    return led or answer.status_code in {401, 403, 404}


async def _shows_nothing(two: TwoClinics, visitor: Site, operation: str, who: str) -> Any:
    """Nothing of ann's is in the answer, and nothing of hers has changed."""
    services = ("invoice", "payment", "notification")
    before = await two.rows_of(two.ann.clinic_id, *services)
    answer = await _open(two, visitor, operation)
    assert not leaked_by(two.ann, operation, None, answer.text), (who, answer.text)
    after = await two.rows_of(two.ann.clinic_id, *services)
    own = OWN.get(operation, OWN_TRIES)
    assert {name for name in before if before[name] != after[name]} <= own, who
    return answer


async def _open(two: TwoClinics, visitor: Site, operation: str) -> Any:
    method, path = operation.split()
    page = PAGES.get(operation)
    headers = {"Accept": "text/html"}
    more: dict[str, Any] = {}
    if method == "POST":
        headers["x-csrftoken"] = visitor.cookie("csrf") or ""
        more = {"json": page.body(two.ann)} if page and page.body else {"data": {}}
    return await visitor.client.request(
        method, path.format_map(two.ann.ids), headers=headers, follow_redirects=False, **more
    )
