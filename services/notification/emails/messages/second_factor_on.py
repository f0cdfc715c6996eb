"""The letter about codes from an app that were switched on."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "Your login asks for a code now",
        "preview": "If it was you, there is nothing to do.",
        "lead": (
            f"Your login to the client portal of {one_line(email.clinic.name)} "
            "asks for a code from an app after the password now. "
            "If you switched this on, there is nothing to do."
        ),
        "action": Action("Choose another password", portal_url + email.delivery.path),
        "note": (
            "If you did not, somebody knows your password: "
            "choose another one now, and tell the clinic that the codes are not yours."
        ),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("second_factor_on", content)
