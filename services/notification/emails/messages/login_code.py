"""The letter with the code, and the link, to log in without a password."""

from typing import Any

from services.notification.emails.domain import LetterEmail, LetterKind
from services.notification.emails.messages.parts import Action, one_line, question, until


def content(email: LetterEmail, portal_url: str) -> dict[str, Any]:
    letter = email.delivery
    return {
        "subject": "Your code to log in",
        "preview": "It works once, and not for long.",
        "lead": (
            "Somebody asked for a code to log in with this e-mail address to the client portal of "
            f"{one_line(email.clinic.name)}. If it was you, type it in the browser in which you asked for it:"
        ),
        "code": letter.code,
        "action": Action("Or log in by this link", portal_url + letter.path),
        "note": (
            f"Code and link work once, {until(email)}, and in that browser alone. "
            "Tell the code to nobody, us included. If you did not ask for it, do nothing: nobody is logged in by it."
        ),
        "question": question(email.clinic, "e-mail"),
    }


KIND = LetterKind("login_code", content)
