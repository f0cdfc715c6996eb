"""Letters about logins, until notification has them. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from contracts.http.letters import LetterTemplate

NOTICE_LASTS = timedelta(days=1)
"""How long a letter without a link is offered to notification."""
LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter in the look of a clinic.

    path        where its button leads; `links.domain.TOKEN` is the place of the link's token
    tries       how often a process took it, this time included
    over        its link has ended, or notification was unreachable for too long
    """

    id: UUID
    clinic_id: UUID
    template: LetterTemplate
    email: str
    path: str
    link_id: UUID | None = None
    tries: int = 0
    over: bool = False


def pause_after(tries: int) -> float:
    """Seconds until the letter is offered again."""
    return min(LONGEST_PAUSE, 2.0 ** min(tries - 1, 10))
