"""The letter about wrong codes that were typed until no more were let through."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    return {
        "subject": "Wrong codes were typed for your login",
        "preview": "If it was you, wait a while and try again.",
        "lead": (
            "Somebody who knows the password of your login to the client portal of "
            f"{one_line(email.clinic.name)}, or reads your e-mails, typed several wrong codes. "
            "No code works for a while now. If it was you, wait, and type the code that your app shows then."
        ),
        "action": Action("Choose another password", portal_url + email.delivery.path),
        "note": "If it was not you, choose another password now, and one for your mailbox too.",
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("wrong_codes", content)
