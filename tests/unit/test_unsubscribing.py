"""Tokens by which e-mails are ended."""

import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from contracts.unsubscribing import Choice, Unsubscribing
from contracts.vocabulary import CHOSEN_MAIL

OLD, NEW = b"the-old-key-of-thirty-two-letters", b"the-new-key-of-thirty-two-letters"
OURS = Unsubscribing((NEW,))
choices = st.builds(Choice, st.uuids(), st.uuids(), st.sampled_from(list(CHOSEN_MAIL)))


@given(choices)
def test_a_token_is_read_as_it_was_made_and_fits_into_an_address(choice: Choice) -> None:
    token = OURS.token(choice)

    assert OURS.read(token) == choice
    assert re.fullmatch(r"[A-Za-z0-9_-]{80}", token)


@given(choices, st.integers(0, 59), st.integers(1, 255))
def test_any_changed_byte_is_refused(choice: Choice, at: int, by: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(OURS.token(choice)))
    raw[at] ^= by

    assert OURS.read(base64.urlsafe_b64encode(raw).decode()) is None


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    assert OURS.read(text) is None


@given(choices)
def test_a_key_is_replaced_with_overlap(choice: Choice) -> None:
    assert Unsubscribing((NEW, OLD)).read(Unsubscribing((OLD,)).token(choice)) == choice
    assert OURS.read(Unsubscribing((OLD,)).token(choice)) is None
