"""The letter about codes from an app that were switched off."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "Your login asks for no code any more",
        "preview": "If it was you, there is nothing to do.",
        "lead": (
            f"Your login to the client portal of {one_line(email.clinic.name)} "
            "opens with its password alone now, without a code from an app. "
            "If you switched this off, or asked for it, there is nothing to do."
        ),
        "action": Action("Choose another password", portal_url + email.delivery.path),
        "note": ("If you did not, choose another password now, and switch the codes on again under Profile."),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("second_factor_off", content)
