"""From the bodies in `contracts.http.letters` to the domain's values."""

from contracts.http.letters import LetterIn
from services.notification.letters.domain import NewLetter


def letter_of(body: LetterIn) -> NewLetter:
    return NewLetter(body.template, body.email, body.path, body.ends_at, body.code)
