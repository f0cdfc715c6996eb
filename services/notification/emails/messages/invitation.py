"""The letter that invites a client to the portal, with the link to choose a password."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question, until


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    name = one_line(email.clinic.name)
    return {
        "subject": "You are invited to your client portal",
        "preview": "See what you owe, pay it, and find your receipts.",
        "lead": (
            f"{name} invites you to its portal, where you see what you owe, pay it, and find your receipts. "
            "Choose a password, and log in with it and this e-mail address."
        ),
        "action": Action("Choose a password", portal_url + email.delivery.path),
        "note": (
            f"The link works once, {until(email)}. If you are no client of {name}, do nothing, and please tell "
            "the clinic that it has a wrong e-mail address."
        ),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("invitation", content)
