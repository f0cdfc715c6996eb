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
    "verify": ("/ops/verify", "Verify"),
    "audit": ("/ops/audit", "Audit log"),
}
"""The pages of the menu: address and words, by name."""

MOST_AT_ONCE = 200
Chosen = str | list[str]
"""The boxes that were ticked, as a form sends them: one alone comes as a text."""


def chosen_in(sent: Chosen) -> list[str]:
    """At most `MOST_AT_ONCE`."""
    chosen = [sent] if isinstance(sent, str) else sent
    return [each for each in chosen if each][:MOST_AT_ONCE]


def page(template: str, section: str, operator: Operator, *, status: int = 200, **context: Any) -> Template:
    shared = {"operator": operator, "section": section, "sections": SECTIONS}
    return Template(template, context={**shared, **context}, status_code=status)
