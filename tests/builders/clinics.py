"""Clinics: as an event, and as the body of a request."""

from typing import Any
from uuid import UUID

from contracts.events.clinic import ClinicUpdated
from services.chassis.clock import now
from services.chassis.ids import new_id

TAX_RATES = [
    {"code": "STD", "name": "VAT", "percent": "23"},
    {"code": "reduced", "name": "VAT", "percent": "13.5"},
    {"code": "NONE", "name": "Exempt", "percent": "0"},
]
CONTACT = {
    "phone": "+353 1 555 0123",
    "email": "billing@harbour.example",
    "address": "12 Quay Street, Dublin 2",
    "hours": "Monday to Friday, 8:30 to 18:00",
}


def a_clinic(clinic_id: UUID | None = None, **changes: Any) -> ClinicUpdated:
    """An Irish clinic in its first version. Payments by card and redirect, also in parts; sums in subjects."""
    facts: dict[str, Any] = {
        "id": new_id(),
        "time": now(),
        "clinic_id": clinic_id or new_id(),
        "version": 1,
        "slug": "harbour",
        "name": "Harbour Clinic",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "locale": "en-IE",
        "billing_shown": True,
        "online_payment": True,
        "methods": ("card", "redirect"),
        "contact": CONTACT,
        "accent": "#0b6e6e",
        "least_part": 50,
        "amounts_in_subjects": True,
    }
    return ClinicUpdated.model_validate(facts | changes)


def clinic_body(**changes: Any) -> dict[str, Any]:
    """The body of a request that creates a clinic."""
    body: dict[str, Any] = {
        "slug": "harbour",
        "name": "Harbour Clinic",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "contact": {"phone": CONTACT["phone"]},
        "tax_rates": TAX_RATES,
    }
    return body | changes
