"""The letter about a recovery code that was used."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "A recovery code of your login was used",
        "preview": "If it was you, there is nothing to do.",
        "lead": (
            "Somebody used a recovery code of your login to the client portal of "
            f"{one_line(email.clinic.name)}, after the password. "
            "If it was you, there is nothing to do."
        ),
        "action": Action("Choose another password", portal_url + email.delivery.path),
        "note": ("If it was not you, choose another password now, and get new recovery codes under Profile."),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("recovery_code_used", content)
