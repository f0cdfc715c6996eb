"""The demo clinics. Dates are days from today; prices are integer minor units without tax."""

from dataclasses import dataclass, field
from typing import Any

from services.gateway.settings import DEMO_LOGINS, DEMO_PASSWORD

CLIENT_EMAIL, STAFF_EMAIL = DEMO_LOGINS["Client"], DEMO_LOGINS["Staff"]
PASSWORD = DEMO_PASSWORD
CLIENT = {
    "name": "Aoife Brennan",
    "email": CLIENT_EMAIL,
    "billing_address": {
        "lines": ["14 Seapoint Avenue"],
        "postcode": "A94 X2F8",
        "city": "Dún Laoghaire",
        "country": "IE",
    },
}


@dataclass(frozen=True, slots=True)
class Line:
    service: str
    practitioner: str
    place: str
    price: int
    tax: str
    quantity: str = "1"
    hour: int = 10


@dataclass(frozen=True, slots=True)
class Invoice:
    """`issued` and `due` are days from today; `paid` the day it was paid, with which of Stripe's test methods."""

    issued: int
    due: int
    lines: tuple[Line, ...]
    currency: str
    paid: int | None = None
    paid_with: str = "pm_card_visa"
    save: bool = False


@dataclass(frozen=True, slots=True)
class Clinic:
    """`account` is its Stripe account at the sandbox."""

    settings: dict[str, Any]
    account: str
    invoices: tuple[Invoice, ...]
    afterwards: dict[str, Any] = field(default_factory=dict)
    """Settings that the clinic changed later, once its past invoices were paid."""


HARBOUR = Clinic(
    settings={
        "slug": "harbour",
        "name": "Harbour Physiotherapy",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "locale": "en-IE",
        "methods": ["card", "redirect"],
        "accent": "#0b6e6e",
        "contact": {
            "phone": "+353 1 555 0142",
            "email": "billing@harbour.example",
            "address": "3 Coal Quay, Dún Laoghaire, A96 K1P2",
            "hours": "Monday to Friday, 8:30 to 17:30",
        },
        "tax_rates": [
            {"code": "exempt", "name": "VAT exempt", "percent": "0"},
            {"code": "reduced", "name": "VAT", "percent": "13.5"},
            {"code": "standard", "name": "VAT", "percent": "23"},
        ],
    },
    account="acct_demoharbour",
    invoices=(
        Invoice(
            -118,
            -104,
            (Line("Initial assessment", "Niamh Kelly, physiotherapist", "Room 2", 8500, "reduced"),),
            "EUR",
            paid=-110,
            save=True,
        ),
        Invoice(
            -89,
            -75,
            (
                Line("Follow-up session", "Niamh Kelly, physiotherapist", "Room 2", 6500, "reduced", "2"),
                Line("Resistance band set", "Front desk", "", 2400, "standard"),
            ),
            "EUR",
            paid=-80,
            paid_with="saved",
        ),
        Invoice(
            -61,
            -47,
            (
                Line(
                    "Sports massage, 60 minutes", "Marek Nowak, massage therapist", "Room 4", 7000, "standard"
                ),
            ),
            "EUR",
            paid=-50,
            paid_with="pm_card_mastercard",
        ),
        Invoice(
            -44,
            -30,
            (Line("Online consultation", "Niamh Kelly, physiotherapist", "Video call", 5500, "exempt"),),
            "GBP",
            paid=-40,
            paid_with="saved",
        ),
        Invoice(
            -33,
            -5,
            (Line("Follow-up session", "Niamh Kelly, physiotherapist", "Room 2", 6500, "reduced", hour=9),),
            "EUR",
        ),
        Invoice(
            -9,
            12,
            (
                Line("Gait analysis", "Dr Tom Okafor, podiatrist", "Movement lab", 9200, "reduced", hour=14),
                Line("Custom orthotic insoles", "Dr Tom Okafor, podiatrist", "", 15800, "standard"),
            ),
            "EUR",
        ),
        Invoice(
            -2,
            26,
            (
                Line(
                    "Sports massage, 60 minutes",
                    "Marek Nowak, massage therapist",
                    "Room 4",
                    7000,
                    "standard",
                    hour=17,
                ),
            ),
            "EUR",
        ),
        Invoice(
            -1,
            27,
            (
                Line(
                    "Online consultation",
                    "Niamh Kelly, physiotherapist",
                    "Video call",
                    5500,
                    "exempt",
                    hour=11,
                ),
            ),
            "GBP",
        ),
    ),
)

LAKESIDE = Clinic(
    settings={
        "slug": "lakeside",
        "name": "Lakeside Dental",
        "currency": "CHF",
        "time_zone": "Europe/Zurich",
        "locale": "en-CH",
        "methods": ["card"],
        "accent": "#1f4f8f",
        "contact": {
            "phone": "+41 44 555 01 77",
            "email": "accounts@lakeside.example",
            "address": "Seestrasse 41, 8002 Zürich",
            "hours": "Monday to Thursday, 7:30 to 18:00",
        },
        "tax_rates": [
            {"code": "exempt", "name": "MWST exempt", "percent": "0"},
            {"code": "standard", "name": "MWST", "percent": "8.1"},
        ],
    },
    account="acct_demolakeside",
    invoices=(
        Invoice(
            -95,
            -65,
            (Line("Check-up and cleaning", "Dr Lena Frei, dentist", "Surgery 1", 18500, "exempt"),),
            "CHF",
            paid=-70,
        ),
        Invoice(
            -12,
            18,
            (
                Line("Composite filling", "Dr Lena Frei, dentist", "Surgery 1", 24800, "exempt", hour=8),
                Line("Night guard", "Jonas Keller, dental technician", "Laboratory", 31000, "standard"),
            ),
            "CHF",
        ),
    ),
    afterwards={"online_payment": False},
)

MINDWELL = Clinic(
    settings={
        "slug": "mindwell",
        "name": "Mindwell",
        "currency": "GBP",
        "time_zone": "Europe/London",
        "locale": "en-GB",
        "methods": ["card", "redirect"],
        "billing_shown": False,
        "accent": "#6b3fa0",
        "contact": {
            "phone": "+44 20 5550 0119",
            "email": "hello@mindwell.example",
            "address": "8 Lamb's Conduit Passage, London WC1R 4RH",
            "hours": "Tuesday to Saturday, 9:00 to 19:00",
        },
        "tax_rates": [{"code": "exempt", "name": "VAT exempt", "percent": "0"}],
    },
    account="acct_demomindwell",
    invoices=(
        Invoice(
            -6,
            8,
            (Line("Session, 50 minutes", "Priya Raman, psychologist", "Room B", 9000, "exempt", hour=16),),
            "GBP",
        ),
    ),
)

CLINICS = (HARBOUR, LAKESIDE, MINDWELL)
