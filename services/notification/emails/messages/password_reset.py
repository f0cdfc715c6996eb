"""The letter with the link to choose a new password."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question, until


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    letter = email.delivery
    return {
        "subject": "Choose a new password",
        "preview": "The link in this e-mail works once, and not for long.",
        "lead": (
            "Somebody asked for a new password for the login with this e-mail address to the client portal of "
            f"{one_line(email.clinic.name)}. If it was you, choose one now."
        ),
        "action": Action("Choose a new password", portal_url + letter.path),
        "note": (
            f"The link works once, {until(email)}. "
            "If you did not ask for it, do nothing: your password stays as it is."
        ),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("password_reset", content)
