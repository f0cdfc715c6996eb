"""The frame of every page behind the login."""

from typing import Any

from litestar.response import Template

from deploy.ops.console.operators.domain import Operator

SECTIONS = {
    "health": ("/ops", "Health"),
    "journeys": ("/ops/journeys", "Journeys"),
    "parked": ("/ops/parked", "Parked events"),
    "emails": ("/ops/emails", "E‑mails"),
    "clinics": ("/ops/clinics", "Clinics"),
    "keys": ("/ops/keys", "API keys"),
    "jobs": ("/ops/jobs", "Jobs"),
    "verify": ("/ops/verify", "Verify"),
    "audit": ("/ops/audit", "Audit log"),
}
"""The pages of the menu: address and words, by name."""


def page(template: str, section: str, operator: Operator, *, status: int = 200, **context: Any) -> Template:
    shared = {"operator": operator, "section": section, "sections": SECTIONS}
    return Template(template, context={**shared, **context}, status_code=status)
