"""An account that cannot be read is named by `clinicpay verify`, and all others are checked."""

import asyncio
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from deploy.ops.verify.report import CannotCheck
from deploy.ops.verify.run import verify
from deploy.ops.verify.screen import BROKEN, SOUND, UNKNOWN, exit_code, show
from tests.builders.values import money
from tests.running.installation import Installation
from tests.service.test_foreign_events import sandbox_post
from tests.service.test_stripe_gone import charged_on

MOVED = "acct_moved000000000001"


async def paid_on(installation: Installation, account: str) -> None:
    """The clinic takes money on an account of its own, beside what it took on the platform's."""
    await charged_on(installation.payments, account)
    invoice = await installation.open_invoice(4_000)
    await installation.pay((invoice, money(4_000)))


async def refund_at_stripe(installation: Installation) -> None:
    """A breach on the platform's own account."""
    charge = next(each for each in await installation.payments.intents() if each["amount"] == 12_500)
    form = {"payment_intent": charge["id"], "amount": "123"}
    await sandbox_post(installation.payments.sandbox, "/v1/refunds", form)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("revoked", "ask its owner to connect the account again"),
        ("403_permission", "Stripe refuses access"),
        ("404", "Stripe answers 404 resource_missing"),
        ("500_before", "Stripe answers 500"),
        ("429", "Stripe is asked too often"),
    ],
)
async def test_an_account_out_of_reach_is_named_and_the_others_are_checked(
    installation: Installation, kind: str, words: str
) -> None:
    await refund_at_stripe(installation)
    await paid_on(installation, MOVED)
    control = installation.payments.sandbox.control
    if kind == "revoked":
        await control("DELETE", f"/accounts/{MOVED}")
    else:
        fault = {"kind": kind, "account": MOVED, "count": 99}
        await control("POST", "/faults/api", fault)

    report = await verify(installation.access, wait=0)
    await control("DELETE", "/faults")
    if kind == "revoked":
        await control("PUT", f"/accounts/{MOVED}", {})
    again = await verify(installation.access, wait=0)

    [(what, why)] = report.unread.items()
    assert what == f"Stripe account {MOVED}"
    assert words in why
    assert [breach.check for breach in report.breaches] == ["refunds_at_stripe_are_booked"]
    assert again.unread == {}
    assert exit_code(report) == exit_code(again) == BROKEN


async def test_the_report_of_a_verification_that_is_not_whole_says_so(installation: Installation) -> None:
    await paid_on(installation, MOVED)
    whole = await verify(installation.access, wait=0)
    await installation.payments.sandbox.control("DELETE", f"/accounts/{MOVED}")
    part = await verify(installation.access, wait=0)

    assert (exit_code(whole), exit_code(part)) == (SOUND, UNKNOWN)
    screen = shown(part)
    assert f"not checked: Stripe account {MOVED}: Stripe refuses access (account_invalid)" in screen
    assert "not whole: 1 not checked" in screen
    assert "not checked" not in shown(whole)


def shown(report: Any) -> str:
    screen = StringIO()
    show(report, Console(file=screen, width=200))
    return screen.getvalue()


async def test_a_key_that_stripe_refuses_checks_nothing(installation: Installation) -> None:
    await installation.payments.sandbox.control(
        "POST", "/faults/api", {"kind": "401", "path": "/v1/*", "count": 99}
    )
    with pytest.raises(CannotCheck, match="STRIPE_SECRET_KEY"):
        await verify(installation.access, wait=0)


async def test_once_stripe_was_silent_twice_it_is_asked_no_more(installation: Installation) -> None:
    for number in range(3):
        await paid_on(installation, f"acct_silent00000000{number}")
    asked: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        report = await verify(replace(installation.access, stripe_api_base=address), wait=0)

    assert len(report.unread) == 4
    assert set(report.unread.values()) == {"Stripe does not answer. Verify again later."}
    assert len(asked) == 2 * 3
