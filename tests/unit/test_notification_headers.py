"""No text that somebody typed becomes a header, an address or an encoded-word, as a mail parser in Rust reads it."""

import re
from collections.abc import Collection
from dataclasses import replace

import pytest
from fast_mail_parser import parse_email
from hypothesis import given
from hypothesis import strategies as st

from services.chassis import clock
from services.chassis.queue.domain import Failed
from services.notification.emails import domain, mime
from services.notification.emails.domain import Claim
from tests.unit.test_notification_letters import CLINIC, RECIPIENT, RENDERER, an_email, an_invoice

HEADERS = [
    "Subject",
    "From",
    "To",
    "Reply-To",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Content-Language",
    "MIME-Version",
    "Content-Type",
]
NAMES = [
    "=?utf-8?q?x=0D=0ABcc=3A_victim=40example.org?=",
    "=?utf-8?q?x=0D=0ABcc=3A_victim=40example.org?= =?utf-8?q?=0D=0ACc=3A_b=40example.org?=",
    "=?utf-8?b?eA0KQmNjOiB2aWN0aW1AZXhhbXBsZS5vcmc=?=",
    "=?us-ascii?Q?x=0D=0A_Bcc=3A_victim=40example.org?=",
    "=?utf-8*en?q?x=0D=0ABcc=3A_v?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3D0D=3D0ABcc=3A=5Fv=3F=3D?=",
    "==??utf-8?q?x=0D=0ABcc=3A_v?=",
    "=\u200b?utf-8?q?x=0D=0ABcc=3A_v?=",
    "=\r\n?utf-8?q?x=0D=0ABcc=3A_v?=",
    "a=?utf-8?q?x=0D=0ABcc=3A_v?=b",
    "Praxis ä =?utf-8?q?x=0D=0ABcc=3A_v?=",
    "=?utf-8?q?" + "=0D=0ABcc=3A_v=40example.org" * 40 + "?=",
    "Evil\r\nBcc: victim@example.org",
    "Evil\r\n Bcc: victim@example.org",
    "Evil\n\nBody",
    "Evil\rBcc: v",
    "Evil\u2028Bcc: v",
    "Evil\u0085Bcc: v",
    "Evil\x0b\x0cBcc: v",
    "\x00\x07",
    "lone \ud83d surrogate",
    "\u202egro.elpmaxe@mitciv\u202c",
    "n" * 1_200,
    "n " * 600,
    "ä" * 1_200,
    "平安诊所" * 300,
    '"quoted" <a@b.example>;' * 5,
    "Plain, a@b.example, " * 9,
    "group: a@b.example;",
    "(comment) a\\b",
    "👩‍⚕️ Praxis 🏥",
    "",
]


def headers_of(raw: bytes) -> dict[str, list[str]]:
    """As the wire has them, each unfolded: whatever begins a line is a header. Read by the other parser as well."""
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii() and b"\x00" not in head and b"\n" not in head.replace(b"\r\n", b"")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    found: dict[str, list[str]] = {}
    for line in re.sub(rb"\r\n(?=[ \t])", b"", head).split(b"\r\n"):
        name, colon, value = line.partition(b": ")
        assert colon, line
        found.setdefault(name.decode(), []).append(value.decode())
    assert parse_email(raw).headers.keys() == found.keys()
    return found


ONE_CLICK = {"List-Unsubscribe", "List-Unsubscribe-Post"}
"""Of e-mails that a client can do without."""


def check(raw: bytes, *, more: Collection[str] = (), missing: Collection[str] = ()) -> None:
    """These headers once each, and the addresses that we put there alone."""
    wire, read = headers_of(raw), parse_email(raw)
    assert set(wire) == {*HEADERS, *more} - {*missing}
    assert all(len(values) == 1 for values in wire.values())
    assert read.from_ and read.from_.address == "billing@clinicpay.example"
    assert [each.address for each in read.to] == ["client@example.com"]
    assert not read.cc and not read.bcc
    for values in read.headers.values():
        for value in values:
            assert "\r" not in value and "\n" not in value and "=?" not in value, value


@pytest.mark.parametrize("name", NAMES, ids=lambda each: ascii(each)[:30])
def test_whatever_a_clinic_is_called_its_emails_have_our_headers_alone(name: str) -> None:
    email = an_email("receipt", clinic=replace(CLINIC, name=name))
    check(mime.compose(email, RENDERER.render(email), "billing@clinicpay.example"))


@pytest.mark.parametrize("typed", NAMES, ids=lambda each: ascii(each)[:30])
def test_whatever_stands_where_somebody_typed_the_headers_are_ours(typed: str) -> None:
    """A clinic's name and address, a client's name, an invoice's number."""
    email = an_email(
        "invoice_ready",
        an_invoice(typed),
        clinic=replace(CLINIC, name=typed, email=typed, phone=typed, address=typed, hours=typed),
        recipient=replace(RECIPIENT, name=typed),
    )
    check(
        mime.compose(email, RENDERER.render(email), "billing@clinicpay.example"),
        more=ONE_CLICK,
        missing=["Reply-To"],
    )


_PIECES = [
    "=?",
    "?=",
    "utf-8",
    "?q?",
    "?b?",
    "=0D=0A",
    "Bcc",
    ":",
    "_",
    " ",
    "\r\n",
    "\t",
    "a@b.de",
    ",",
    "<",
    ">",
    '"',
    "ä",
    "=",
]


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=20), max_size=40).map("".join))
def test_no_name_at_all_makes_another_header(name: str) -> None:
    email = an_email("invoice_ready", an_invoice(name), clinic=replace(CLINIC, name=name))
    check(mime.compose(email, RENDERER.render(email), "billing@clinicpay.example"), more=ONE_CLICK)


def test_a_name_is_shown_as_it_was_typed_where_mail_can() -> None:
    for name, shown in (
        ("Harbour Clinic", "Harbour Clinic"),
        ("O'Neill & Co. – Köln", "O'Neill & Co. – Köln"),
        ("Praxis für Gesundheit, Köln", "Praxis für Gesundheit Köln"),
        ("=?utf-8?q?x?=", "-?utf-8?q?x?="),
    ):
        email = an_email("receipt", clinic=replace(CLINIC, name=name))
        sender = parse_email(mime.compose(email, RENDERER.render(email), "b@x.example")).from_
        assert sender and sender.display_name == shown


@pytest.mark.parametrize(
    "kept", ["<billing@x>", "a@@b.de", "=?utf-8?q?x=0D=0ABcc=3A_v?=@b.example", "a@b.de, c@d.de"]
)
def test_an_address_that_was_kept_before_it_was_checked_stops_no_other_email(kept: str) -> None:
    """A clinic's is left out of its emails; a client's ends the emails to that client."""
    email = an_email("receipt", clinic=replace(CLINIC, email=kept))
    check(
        mime.compose(email, RENDERER.render(email), "billing@clinicpay.example"),
        missing=["Reply-To"],
    )

    claim = Claim(email.kind, email.delivery, CLINIC, replace(RECIPIENT, email=kept), email.invoices)
    assert domain.decide(claim, clock.now()) == Failed("email_not_valid")
