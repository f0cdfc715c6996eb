"""The letter about a clinic that waits for a password which no other clinic knows."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    name = one_line(email.clinic.name)
    return {
        "subject": "You are invited to your client portal",
        "preview": "Choose a password of your own first.",
        "lead": (
            f"{name} invites you to its portal. You have a login with this e-mail address already, whose password "
            f"another clinic gave you. Choose one of your own that no clinic knows: then the login opens {name} too."
        ),
        "action": Action("Choose a password of your own", portal_url + email.delivery.path),
        "note": "If it is not for you, do nothing, and please tell the clinic.",
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("membership_locked", content)
