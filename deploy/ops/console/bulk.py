"""One act on many things: each is tried once, and the page says which were refused."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.chassis.errors import DomainError

MOST_AT_ONCE = 200
Chosen = str | list[str]
"""The boxes that were ticked, as a form sends them: one alone comes as a text."""


class NothingChosen(DomainError):
    code = "nothing_chosen"
    status = 422


class TooMany(DomainError):
    code = "too_many_chosen"
    status = 422


@dataclass(frozen=True, slots=True)
class Ended:
    done: int
    refused: tuple[str, ...]
    """A line for each that was refused."""

    @property
    def words(self) -> str:
        return f"{self.done} of {self.done + len(self.refused)} are done."


def chosen_of(sent: Chosen) -> tuple[str, ...]:
    """Each that was ticked, once."""
    return tuple(dict.fromkeys(each for each in ([sent] if isinstance(sent, str) else sent) if each))


async def each_of(sent: Chosen, act: Callable[[str], Awaitable[None]]) -> Ended:
    """Raises `NothingChosen` and `TooMany` before anything is done."""
    chosen = chosen_of(sent)
    if not chosen:
        raise NothingChosen("Choose at least one.")
    if len(chosen) > MOST_AT_ONCE:
        raise TooMany(f"Choose at most {MOST_AT_ONCE} at once.")
    refused = []
    for each in chosen:
        try:
            await act(each)
        except DomainError as refusal:
            refused.append(f"{each[:100]}: {refusal.detail}")
    return Ended(len(chosen) - len(refused), tuple(refused))
