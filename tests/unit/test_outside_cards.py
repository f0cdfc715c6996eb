"""Card numbers that staff may write by mistake, beside what they write on purpose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.cards import holds_card

CARDS = (
    "4242424242424242",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "6200000000000005",
    "3566002020360505",
)
"""Stripe's test cards, one of each brand."""


@pytest.mark.parametrize("card", CARDS)
def test_a_card_number_is_found(card: str) -> None:
    grouped = " ".join(card[at : at + 4] for at in range(0, len(card), 4))
    eastern = "".join(chr(0x0660 + int(digit)) for digit in card)

    for text in (
        card,
        f"card {card}, till 2",
        f"paid by {grouped} 12/28",
        grouped.replace(" ", "-"),
        eastern,
    ):
        assert holds_card(text), text
    assert not holds_card(card[:-1] + str((int(card[-1]) + 1) % 10)), "its last digit is wrong"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "terminal 0042, 2026-11-30 14:05",
        "IE29 AIBK 9311 5212 3456 78",
        "DE89 3704 0044 0532 0130 00",
        "+353 1 496 0123 / +353 87 123 4567",
        "invoices 2026-000123, 2026-000124, 2026-000125, 2026-000126",
        "9" * 200,
    ],
)
def test_what_staff_write_on_purpose_is_none(text: str) -> None:
    assert not holds_card(text)


@given(st.sampled_from(CARDS), st.text(max_size=40), st.text(max_size=40))
def test_a_number_is_found_beside_any_words(card: str, before: str, after: str) -> None:
    words = (
        "".join(char for char in before if not char.isdigit()),
        "".join(c for c in after if not c.isdigit()),
    )

    assert holds_card(f"{words[0]}{card}{words[1]}")
