"""The letter about new recovery codes in the place of the old ones."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "Your login has new recovery codes",
        "preview": "If it was you, there is nothing to do.",
        "lead": (
            f"Your login to the client portal of {one_line(email.clinic.name)} has new recovery codes. "
            "The old ones do not work any more. If you asked for them, there is nothing to do."
        ),
        "action": Action("Choose another password", portal_url + email.delivery.path),
        "note": ("If you did not, choose another password now, and get new recovery codes under Profile."),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("recovery_codes_renewed", content)
