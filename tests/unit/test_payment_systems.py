"""Online payment systems: one table of currencies and names, which the sandbox agrees with."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.currencies import CURRENCIES, SYSTEMS
from contracts.vocabulary import METHOD_NAMES, NOT_REDIRECT
from deploy.sandbox.methods import AUTOMATIC, KINDS
from services.gateway.portal.payments.views import MOST_NAMED, PayView
from services.payment.accounts.domain import NONE, state_of, ways_of
from services.payment.accounts.schemas import account_out

NOW = datetime(2026, 11, 6, tzinfo=UTC)
SCRIPT = Path(__file__).parents[2] / "deploy/sandbox/web/v3/2-elements.js"


def words(able: tuple[str, ...], currency: str) -> str:
    view = object.__new__(PayView)
    object.__setattr__(view, "currency", currency)
    return view.by_systems(able)


def test_every_system_has_a_name_and_is_chargeable_in_its_currencies() -> None:
    for kind, currencies in SYSTEMS.items():
        assert kind in METHOD_NAMES and kind not in NOT_REDIRECT
        assert all(CURRENCIES[code].redirect_maximum for code in currencies)


def test_the_sandbox_takes_each_system_in_the_same_currencies() -> None:
    redirects = {name: kind for name, kind in KINDS.items() if kind.flow == "redirect"}
    for name, kind in redirects.items():
        assert kind.currencies == frozenset(code.lower() for code in SYSTEMS[name])
    shown = dict(re.findall(r'(\w+): "([a-z ]{3,})"', SCRIPT.read_text(encoding="utf-8")))
    for name in AUTOMATIC[1:]:
        assert frozenset(shown[name].split()) == redirects[name].currencies


@pytest.mark.parametrize(
    ("capabilities", "systems"),
    [
        ({"card_payments", "eps_payments", "ideal_payments"}, ("ideal", "eps")),
        ({"card_payments", "revolut_pay_payments"}, ()),
        ({"card_payments", "sepa_debit_payments"}, ()),
        (None, ()),
    ],
)
def test_an_account_has_the_systems_of_its_capabilities(
    capabilities: set[str] | None, systems: tuple[str, ...]
) -> None:
    assert {way for way in ways_of(capabilities) if way in SYSTEMS} == set(systems)
    able = state_of("acct_1", NOW, True, None, capabilities)
    assert account_out(NONE, able, livemode=False).systems == systems
    off = state_of("acct_1", NOW, False, None, capabilities)
    assert account_out(NONE, off, livemode=False).systems == ()


def test_the_choice_names_what_the_account_can_charge_by_in_the_currency() -> None:
    able = ("twint", "p24", "ideal", "eps", "bancontact")

    assert words(able, "EUR") == "iDEAL, Bancontact, EPS or another online payment system"
    assert words(able, "CHF") == "TWINT or another online payment system"
    assert words(able, "SEK") == words((), "EUR") == "Online payment system"
    assert words(tuple(SYSTEMS), "EUR").count(",") == MOST_NAMED - 1
