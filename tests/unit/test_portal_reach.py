"""Pages of a clinic of which not every way to reach it is known: they promise nothing that is not there."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.http.clinics import ClinicContact, ClinicOut
from contracts.http.invoices import Summary
from services.gateway.portal.credit.views import CreditView
from services.gateway.portal.help import articles
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.payments import views as payments
from services.gateway.portal.payments.steps import Steps
from services.gateway.web.templating import environment
from tests.builders.portal import a_clinic, a_payment, an_invoice

PAGES = environment()
PHONE, EMAIL, ADDRESS, HOURS = "+353 1 555 0123", "billing@harbour.example", "12 Quay Street", "9 to 5"
KNOWN: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, "ask at"),
    "hours": ({"hours": HOURS}, "ask at"),
    "address": ({"address": ADDRESS}, "ask at"),
    "phone": ({"phone": PHONE}, "call"),
    "e-mail": ({"email": EMAIL}, "write to"),
    "phone and e-mail": ({"phone": PHONE, "email": EMAIL}, "call or write to"),
}
HEADINGS = re.compile(
    r"<h2>(?:Questions|Reach|Or reach|Still stuck|Rather talk|Ask |Is something)"
    r"|>Contact [^<]*</a>|<dl class=\"facts\">\s*</dl>"
)


def contact(known: str) -> ClinicContact:
    return ClinicContact(**KNOWN[known][0])


def pages(clinic: ClinicOut) -> dict[str, str]:
    """Each page that says how to reach the clinic."""
    offline = replace(clinic, online_payment=False)
    hidden = replace(clinic, billing_shown=False)
    directly = invoices.invoice(an_invoice(), offline)
    summary = invoices.summary(
        Summary(due=[], unpaid_count=0, overdue_count=0, checked_count=0, next=None, last_paid=None), clinic
    )
    guide = articles.guide()
    paying = payments.pay(an_invoice(), payments.Means([]), clinic)
    paid = payments.result(a_payment("succeeded"), [an_invoice()], clinic)
    stripe = dict.fromkeys(
        ("stripe_js_url", "stripe_publishable_key", "stripe_account", "systems", "reasons"), ""
    )
    error = {
        "title": "",
        "message": "",
        "action_url": "/",
        "action_label": "",
        "status": 404,
        "reference": "",
    }
    return {
        "contact": render("contact.html", clinic),
        "help": render("help.html", clinic, query="", found=[], guide=guide, articles=[]),
        "article": render("article.html", clinic, article=guide, body=""),
        "dashboard": render("dashboard.html", clinic, summary=summary),
        "dashboard without bills": render("dashboard.html", hidden, summary=summary),
        "no bills": render("hidden.html", hidden),
        "invoice": render(
            "invoice.html",
            clinic,
            invoice=invoices.invoice(an_invoice(), clinic),
            pay_label="Pay",
            credit_pays=False,
        ),
        "invoice, not online": render(
            "invoice.html", offline, invoice=directly, pay_label="", credit_pays=False
        ),
        "not payable": render("not_payable.html", offline, row=directly.row),
        "pay": render("pay.html", clinic, pay=paying, choice=None, **stripe),
        "result": render("result.html", clinic, result=paid),
        "saved methods": render("methods.html", clinic, methods=[], waiting=False, done=""),
        "error": render("error.html", clinic, **error),
        "login": render("login.html", clinic, error="", why="", demo_logins={}, has_passkeys=True),
        "credit": render(
            "_credit.html", clinic, credit=CreditView(amount="€5.00", reserved="", heading="", refunds=[])
        ),
    }


def render(template: str, clinic: ClinicOut, **context: Any) -> str:
    frame = {
        "clinic": clinic,
        "section": "payments",
        "takes_cards": True,
        "csrf_token": "t",
        "here": "",
        "usable": True,
        "listed": "/",
        "steps": Steps([]),
    }
    return PAGES.get_template(template).render(**frame | context)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("known", ["nothing", "hours"])
def test_a_clinic_that_cannot_be_reached_from_here_has_no_headings_without_anything_below(known: str) -> None:
    for name, page in pages(a_clinic(contact=contact(known))).items():
        assert HEADINGS.findall(page) == [], name
        assert not re.search(r"(?i)\b(?:call|write)\b", text(page)), name


@pytest.mark.parametrize("known", ["address", "phone", "e-mail", "phone and e-mail"])
def test_whatever_is_known_is_below_its_heading(known: str) -> None:
    clinic = a_clinic(contact=contact(known))
    shown = pages(clinic)

    for name in shown.keys() - {"credit", "dashboard without bills", "no bills", "not payable"}:
        assert HEADINGS.search(shown[name]) or name == "login", name
    for name in shown.keys() - {"credit"}:
        assert all(fact in shown[name] for fact in KNOWN[known][0].values()), name


@pytest.mark.parametrize("known", KNOWN)
def test_pages_ask_to_do_only_what_can_be_done(known: str) -> None:
    words = KNOWN[known][1]
    shown = {name: text(page) for name, page in pages(a_clinic(contact=contact(known))).items()}

    assert (
        f"{words.capitalize()} the clinic, and they will tell you how to pay." in shown["invoice, not online"]
    )
    assert f"{words} Harbour Physiotherapy." in shown["not payable"]
    assert f"{words.capitalize()} the clinic: they can tell you" in shown["no bills"]
    assert f"{words.capitalize()} the clinic instead." in shown["dashboard without bills"]
    assert f"To get it back, {words} the clinic." in shown["credit"]


@pytest.mark.parametrize("known", KNOWN)
def test_the_note_for_a_browser_without_scripts_has_a_number_only_where_there_is_one(known: str) -> None:
    facts, words = KNOWN[known]
    number = f": {PHONE}" if "phone" in facts else ""

    page = text(pages(a_clinic(contact=contact(known)))["pay"])

    assert f"Please switch it on. You can also {words} Harbour Physiotherapy{number}." in page


def test_the_contact_page_of_a_clinic_without_any_says_so() -> None:
    page = text(pages(a_clinic(contact=ClinicContact()))["contact"])

    assert (
        "has given no phone number, e-mail address or postal address here. Please ask at the clinic." in page
    )


def test_no_article_of_the_help_says_how_every_clinic_is_reached() -> None:
    for article in articles.library().values():
        assert not re.search(
            r"(?i)\b(?:call|write to|phone) (?:it|your clinic|the clinic)\b", article.text
        ), article.slug
