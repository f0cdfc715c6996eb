"""The letter to the old address of a login that has a new one."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    name = one_line(email.clinic.name)
    return {
        "subject": "You log in with another e-mail address now",
        "preview": "If it was you, there is nothing to do.",
        "lead": (
            f"Your login to the client portal of {name} has another e-mail address now, and this one opens it no more. "
            "If you changed it, there is nothing to do."
        ),
        "action": None,
        "note": "If you did not change it, somebody knows your password: please tell the clinic at once.",
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("email_changed", content)
