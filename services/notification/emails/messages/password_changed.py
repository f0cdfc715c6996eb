"""The letter about a password that was changed."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "Your password was changed",
        "preview": "If it was you, there is nothing to do.",
        "lead": (
            f"Your login to the client portal of {one_line(email.clinic.name)} has a new password. "
            "If you changed it, there is nothing to do."
        ),
        "action": Action("Choose another password", portal_url + email.delivery.path),
        "note": "If you did not change it, choose another one now, and change the password of your mailbox too.",
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("password_changed", content)
