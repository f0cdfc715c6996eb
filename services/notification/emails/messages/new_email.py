"""The letter with the link that confirms a login's new e-mail address."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question, until


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "Confirm your new e-mail address",
        "preview": "Then you log in with it.",
        "lead": (
            "Somebody who is logged in to the client portal of "
            f"{one_line(email.clinic.name)} wants to log in with this e-mail address from now on."
        ),
        "action": Action("Confirm the address", portal_url + email.delivery.path),
        "note": f"The link works once, {until(email)}. If it was not you, do nothing: nothing is changed.",
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("new_email", content)
