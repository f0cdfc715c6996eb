"""Texts that staff add to money: the one check of what may stand in them."""

from services.chassis import texts
from services.chassis.errors import DomainError
from services.payment.cards import holds_card


class LooksLikeACard(DomainError):
    """Card numbers are never kept."""

    code = "card_number_refused"
    status = 422


def words(value: str, name: str, most: int, *, least: int = 0) -> str:
    """The text as it is kept. Raises `InvalidText`, and `LooksLikeACard` for a text that holds a card's number."""
    kept = texts.text(value, name, least=least, most=most)
    if holds_card(kept):
        raise LooksLikeACard("This looks like a card number, which is never kept.", field=name)
    return kept
