"""The letter about a clinic that waits to be accepted by the owner of a login."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    name = one_line(email.clinic.name)
    return {
        "subject": "You are invited to your client portal",
        "preview": "Log in as you always do, and accept it.",
        "lead": (
            f"{name} invites you to its portal. You have a login with this e-mail address already: log in as you "
            "always do. If you are asked whether the clinic's client is you, or somebody you look after, accept."
        ),
        "action": Action("Log in", portal_url + email.delivery.path),
        "note": "If it is not for you, decline it there, and please tell the clinic.",
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("membership_waits", content)
