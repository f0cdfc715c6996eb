"""The seal: nobody changes what it signs, it fits Stripe's limits, and what goes out is of the row alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.http.payments import MOST_INVOICES
from services.chassis.ids import new_id
from services.chassis.settings import load
from services.payment.payments import stripe_params as payment_params
from services.payment.payments.domain import Allocation, Payment
from services.payment.refunds import stripe_params as refund_params
from services.payment.refunds.domain import Refund
from services.payment.settings import Settings
from services.payment.stripe.seal import Seal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OURS = Seal("harbour", (b"new" * 12, b"old" * 12))
BEFORE = Seal("harbour", (b"old" * 12,))


def a_payment(invoices: int = 2) -> Payment:
    return Payment(
        clinic_id=new_id(),
        id=new_id(),
        client_id=new_id(),
        account="",
        livemode=False,
        status="created",
        amount=100 * invoices,
        currency="EUR",
        kind="card",
        save=False,
        idempotency_key="payment-7",
        created_at=NOW,
        updated_at=NOW,
        allocations=tuple(Allocation(new_id(), 100) for _ in range(invoices)),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )


def a_refund() -> Refund:
    return Refund(
        clinic_id=new_id(),
        id=new_id(),
        client_id=new_id(),
        payment_id=new_id(),
        account="",
        livemode=False,
        intent_id="pi_1",
        status="created",
        amount=100,
        currency="EUR",
        created_at=NOW,
        updated_at=NOW,
    )


def metadata(signer: Seal = OURS) -> list[dict[str, str]]:
    return [
        payment_params.metadata_of(payment_params.seal_payment(a_payment(), signer)),
        refund_params.metadata_of(refund_params.seal_refund(a_refund(), signer)),
    ]


@pytest.mark.parametrize("signer", [OURS, BEFORE])
def test_what_we_signed_is_ours_also_while_the_key_is_replaced(signer: Seal) -> None:
    assert [OURS.origin(each) for each in metadata(signer)] == ["ours", "ours"]
    assert [BEFORE.origin(each) for each in metadata(OURS)] == ["forged", "forged"]


@given(st.data())
def test_no_signed_name_can_be_changed_taken_away_or_added(data: st.DataObject) -> None:
    given = data.draw(st.sampled_from(metadata()))
    name = data.draw(st.sampled_from(sorted(given.keys() - {"traceparent", "installation"})))
    changed = data.draw(st.text().filter(lambda text: text != given[name]))
    assert OURS.origin(given | {name: changed}) == "forged"
    assert OURS.origin({key: value for key, value in given.items() if key != name}) == "forged"
    added = data.draw(st.integers(3, 40))
    assert OURS.origin(given | {f"invoice_{added}": f"{new_id()} 1 EUR"}) == "forged"
    assert OURS.origin(given | {"installation": "elm"}) == "other_installation"
    assert OURS.origin(given | {"installation": changed}) == "other_installation"


def test_what_the_account_owner_adds_changes_nothing() -> None:
    for each in metadata():
        assert OURS.origin(each | {"note": "paid at the desk", "traceparent": "other"}) == "ours"


@pytest.mark.parametrize("odd", [{}, {"clinic_id": str(new_id())}, {"signature": "0" * 64}])
def test_what_names_no_installation_is_unsigned(odd: dict[str, Any]) -> None:
    assert OURS.origin(odd) == "unsigned"


@pytest.mark.parametrize("signature", [None, 7, "", "é", "0" * 64, ["x"]])
def test_a_signature_of_any_shape_is_forged(signature: Any) -> None:
    assert OURS.origin(metadata()[0] | {"signature": signature}) == "forged"


def test_the_most_invoices_fit_into_what_stripe_keeps() -> None:
    payment = replace(a_payment(MOST_INVOICES), currency="KWD")
    sent = payment_params.metadata_of(payment_params.seal_payment(payment, Seal("i" * 40, (b"k" * 32,))))
    assert len(sent) <= 50
    assert all(len(name) <= 40 and "[" not in name and "]" not in name for name in sent)
    assert all(len(value) <= 500 for value in sent.values())
    assert sum(name.startswith("invoice_") for name in sent) == 40


def test_what_an_earlier_release_began_goes_out_as_it_did() -> None:
    payment, refund = a_payment(), a_refund()
    assert payment_params.metadata_of(payment).keys() == {"clinic_id", "payment_id", "traceparent"}
    assert refund_params.metadata_of(refund).keys() == {"clinic_id", "payment_id", "refund_id"}


def test_settings_name_all_that_is_wrong_with_the_seal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "HTTP_PORT": "1",
        "KAFKA_BOOTSTRAP_SERVERS": "k:1",
        "DATABASE_URL": "postgresql://x",
        "INTERNAL_TOKEN_PUBLIC_KEY": "{}",
        "STRIPE_SECRET_KEY": "sk",
        "STRIPE_WEBHOOK_SECRET": "whsec",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("INSTALLATION", raising=False)
    monkeypatch.setenv("METADATA_KEY", "long-enough-for-a-key-of-this-kind,short")

    with pytest.raises(SystemExit):
        load(Settings)

    output = capsys.readouterr().err
    assert "INSTALLATION" in output
    assert "METADATA_KEY" in output
    assert "short," not in output

    monkeypatch.setenv("INSTALLATION", "harbour")
    monkeypatch.setenv("METADATA_KEY", f"{'n' * 32}, {'o' * 32}")
    assert load(Settings).seal == Seal("harbour", (b"n" * 32, b"o" * 32))
