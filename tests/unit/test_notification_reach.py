"""E-mails of a clinic of which not every way to reach it is known: they promise nothing that is not there."""

from dataclasses import replace
from typing import Any

import pytest

from services.notification.emails.rendering import Content
from services.notification.projections.domain import Clinic
from tests.unit.test_notification_letters import CLINIC, RENDERER, TO_CLIENTS, an_email, both_parts

NOWHERE = replace(CLINIC, phone="", email="", address="", hours="")
ONE_WAY: list[dict[str, Any]] = [
    {"phone": "+353 1 555 0123"},
    {"email": "hello@harbour.example"},
    {"address": "12 Quay Street"},
]


def letter(template: str, clinic: Clinic) -> Content:
    return RENDERER.render(an_email(template, clinic=clinic))


@pytest.mark.parametrize("billing_shown", [True, False])
@pytest.mark.parametrize("online_payment", [True, False])
@pytest.mark.parametrize("template", TO_CLIENTS)
def test_without_any_contact_no_email_says_to_contact_the_clinic(
    template: str, online_payment: bool, billing_shown: bool
) -> None:
    mail = letter(template, replace(NOWHERE, online_payment=online_payment, billing_shown=billing_shown))

    assert both_parts(mail, "? Ask at the clinic.")
    for part in (mail.text, mail.html):
        assert "contact the clinic" not in part.lower()
        assert "details are below" not in part
        assert "mailto:" not in part and "tel:" not in part


@pytest.mark.parametrize("known", ONE_WAY)
@pytest.mark.parametrize("template", TO_CLIENTS)
def test_with_one_way_to_reach_it_the_email_has_it(template: str, known: dict[str, Any]) -> None:
    mail = letter(template, replace(NOWHERE, **known))

    assert both_parts(mail, "? Contact the clinic.", *known.values())


@pytest.mark.parametrize("known", ONE_WAY)
@pytest.mark.parametrize("template", ["invoice_ready", "payment_failed"])
def test_who_cannot_pay_online_is_sent_to_the_details_only_if_there_are_any(
    template: str, known: dict[str, Any]
) -> None:
    offline = replace(NOWHERE, online_payment=False)

    assert both_parts(letter(template, offline), "To pay, please ask at the clinic.")
    below = letter(template, replace(offline, **known))
    assert both_parts(below, "To pay, please contact the clinic: its details are below.")


@pytest.mark.parametrize("template", TO_CLIENTS)
def test_hours_are_told_without_a_phone_number_too(template: str) -> None:
    assert both_parts(
        letter(template, replace(NOWHERE, hours="Mon–Fri 8:00–18:00")), "Hours: Mon–Fri 8:00–18:00"
    )
