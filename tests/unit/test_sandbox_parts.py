"""The sandbox's small parts: form decoding, card numbers, metadata, signatures, fault rules, settings."""

import pytest
import stripe

from deploy.sandbox import metadata, params
from deploy.sandbox.cards import CARDS, brand_of, passes_check_digit
from deploy.sandbox.errors import BadParameter
from deploy.sandbox.faults import ApiFault, Faults
from deploy.sandbox.idempotency import fingerprint
from deploy.sandbox.outcomes import first_step
from deploy.sandbox.recorder import without_card_data
from deploy.sandbox.settings import MissingSettings, from_environment
from deploy.sandbox.webhooks import signature

CREATE = "POST /v1/payment_intents"


def test_brackets_become_typed_values() -> None:
    form = params.decode_form(
        "amount=100&currency=eur&confirm=true&metadata[a]=1&payment_method_types[]=card&payment_method_types[]=paypal"
        "&automatic_payment_methods[enabled]=false&expand[0]=customer"
    )

    assert params.typed(CREATE, form) == {
        "amount": 100,
        "currency": "eur",
        "confirm": True,
        "metadata": {"a": "1"},
        "payment_method_types": ["card", "paypal"],
        "automatic_payment_methods": {"enabled": False},
        "expand": ["customer"],
    }


@pytest.mark.parametrize(
    ("form", "param", "code"),
    [
        ("amount=x&currency=eur", "amount", "parameter_invalid_integer"),
        ("amount=1.5&currency=eur", "amount", "parameter_invalid_integer"),
        ("amount=1", "currency", "parameter_missing"),
        ("amount=1&currency=eur&odd=1", "odd", "parameter_unknown"),
        (
            "amount=1&currency=eur&automatic_payment_methods[odd]=1",
            "automatic_payment_methods[odd]",
            "parameter_unknown",
        ),
        ("amount=1&currency=eur&confirm=yes", "confirm", None),
        ("amount=1&currency=eur&setup_future_usage=now", "setup_future_usage", None),
    ],
)
def test_a_wrong_parameter_is_named(form: str, param: str, code: str | None) -> None:
    with pytest.raises(BadParameter) as caught:
        params.typed(CREATE, params.decode_form(form))

    assert (caught.value.body["param"], caught.value.body.get("code")) == (param, code)


def test_every_test_card_passes_the_check_digit() -> None:
    assert [name for name, card in CARDS.items() if not passes_check_digit(card.number)] == []
    assert [name for name, card in CARDS.items() if brand_of(card.number) != card.brand] == []
    assert not passes_check_digit("4242424242424241")


def test_metadata_adds_clears_and_keeps_to_the_limits() -> None:
    assert metadata.changed({"a": "1", "b": "2"}, {"a": "", "c": "3"}) == {"b": "2", "c": "3"}
    assert metadata.changed({"a": "1"}, "") == {}
    for wrong in ({"k" * 41: "1"}, {"k": "v" * 501}, {f"k{n}": "v" for n in range(51)}):
        with pytest.raises(BadParameter):
            metadata.changed({}, wrong)


def test_the_sdk_takes_our_signature_over_the_raw_bytes() -> None:
    body = '{"id": "evt_1", "object": "event", "name": "Zoë"}'.encode()
    header = signature("whsec_x", body, 2_000_000_000)

    assert stripe.WebhookSignature.verify_header(body.decode(), header, "whsec_x", tolerance=0)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body.decode() + " ", header, "whsec_x")


def test_a_fault_hits_as_often_as_it_says() -> None:
    faults = Faults()
    faults.api.append(ApiFault("429", method="POST", path="/v1/payment_intents*", count=2))

    hit = [faults.for_call("POST", "/v1/payment_intents/pi_1/confirm") is not None for _ in range(3)]

    assert hit == [True, True, False]
    assert faults.for_call("GET", "/v1/payment_intents") is None


def test_the_order_of_parameters_does_not_matter_to_a_key() -> None:
    assert fingerprint("/v1/x", "a=1&b=2") == fingerprint("/v1/x", "b=2&a=1")
    assert fingerprint("/v1/x", "a=1") != fingerprint("/v1/x", "a=2")
    assert fingerprint("/v1/x", "a=1")[:8] != fingerprint("/v1/y", "a=1")[:8]


@pytest.mark.parametrize(
    ("authentication", "set_up", "on_session", "off_session"),
    [
        ("never", False, "succeed", "succeed"),
        ("always", True, "challenge", "decline"),
        ("off_session", False, "challenge", "decline"),
        ("off_session", True, "challenge", "succeed"),
        ("once", False, "challenge", "succeed"),
    ],
)
def test_when_a_card_asks_for_authentication(
    authentication: str, set_up: bool, on_session: str, off_session: str
) -> None:
    hidden = {"authentication": authentication, "set_up": set_up}

    assert first_step("card", hidden, setup=False, off_session=False)[0] == on_session
    assert first_step("card", hidden, setup=False, off_session=True)[0] == off_session


def test_card_data_is_not_recorded() -> None:
    for body in (
        "type=card&card[number]=4242424242424242&card[cvc]=123&key=pk",
        "type=card&card%5Bnumber%5D=4242424242424242&card%5Bcvc%5D=123&key=pk",
    ):
        kept = without_card_data(body)
        assert "4242" not in kept
        assert "123" not in kept
        assert kept.endswith("&key=pk")


def test_all_missing_settings_are_named_at_once() -> None:
    with pytest.raises(MissingSettings) as caught:
        from_environment({"SANDBOX_PUBLIC_URL": "http://x/"})

    for name in ("HTTP_PORT", "SANDBOX_SECRET_KEY", "SANDBOX_STATE", "SANDBOX_WEBHOOK_SECRET"):
        assert name in str(caught.value)
