"""The letter about a passkey that was added."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "A passkey was added to your login",
        "preview": "If it was you, there is nothing to do.",
        "lead": (
            f"A passkey was added to your login to the client portal of {one_line(email.clinic.name)}. "
            "It opens the login without the password. If you added it, there is nothing to do."
        ),
        "action": Action("Choose another password", portal_url + email.delivery.path),
        "note": (
            "If you did not, somebody knows your password: choose another one now. "
            "That removes all passkeys of the login."
        ),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("passkey_added", content)
