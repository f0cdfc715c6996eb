"""Internal tokens are signed and checked once, and for no longer than they are good."""

import json
import time

import pytest
from joserfc.jwk import OKPKey

from services.chassis.http import auth
from services.chassis.http.auth import (
    LEEWAY_SECONDS,
    LIFETIME_SECONDS,
    ClockSkew,
    NotSignedIn,
    TokenCheck,
    TokenMint,
)
from tests.builders.callers import PRIVATE_KEY, PUBLIC_KEY, a_caller


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_token_is_used_again_for_half_its_life(clock: Clock) -> None:
    mint, caller = TokenMint(PRIVATE_KEY), a_caller("operator")
    first = mint.token(audience="invoice", caller=caller)
    clock.now += LIFETIME_SECONDS / 2 - 2
    assert mint.token(audience="invoice", caller=caller) == first
    clock.now += 3
    assert mint.token(audience="invoice", caller=caller) != first


def test_a_token_is_one_callers_for_one_service() -> None:
    mint, ann, ben = TokenMint(PRIVATE_KEY), a_caller("operator"), a_caller("operator")
    tokens = {mint.token(audience=to, caller=by) for to in ("invoice", "payment") for by in (ann, ben)}
    assert len(tokens) == 4


def test_a_token_that_was_good_is_refused_when_it_has_run_out(clock: Clock) -> None:
    caller, check = a_caller("operator"), TokenCheck(PUBLIC_KEY, "invoice")
    header = f"Bearer {TokenMint(PRIVATE_KEY).token(audience='invoice', caller=caller)}"
    assert [check.caller(header) for _ in range(2)] == [caller, caller]
    clock.now += LIFETIME_SECONDS - 1
    assert check.caller(header) == caller
    clock.now += LEEWAY_SECONDS + 2  # the other clock may be behind
    with pytest.raises(ClockSkew):
        check.caller(header)


@pytest.mark.parametrize("ahead", [-30, -29, 0, 29, 30])
@pytest.mark.parametrize("age", [0, 29])
def test_a_gateways_clock_may_differ_by_half_a_minute(clock: Clock, ahead: int, age: int) -> None:
    caller, mint, check = a_caller("operator"), TokenMint(PRIVATE_KEY), TokenCheck(PUBLIC_KEY, "invoice")
    now = clock.now
    clock.now = now + ahead - age
    mint.token(audience="invoice", caller=caller)
    clock.now = now + ahead
    header = f"Bearer {mint.token(audience='invoice', caller=caller)}"
    clock.now = now
    assert check.caller(header) == caller


@pytest.mark.parametrize(("ahead", "words"), [(45, "ahead of"), (-100, "behind"), (3600, "ahead of")])
def test_beyond_it_the_refusal_names_the_clock(clock: Clock, ahead: int, words: str) -> None:
    clock.now += ahead
    header = f"Bearer {TokenMint(PRIVATE_KEY).token(audience='invoice', caller=a_caller('operator'))}"
    clock.now -= ahead
    with pytest.raises(ClockSkew, match=f"The gateway's clock is .* {words}"):
        TokenCheck(PUBLIC_KEY, "invoice").caller(header)


def test_a_key_is_replaced_while_both_are_accepted() -> None:
    caller, new = a_caller("operator"), OKPKey.generate_key("Ed25519")
    private, public = (json.dumps(new.as_dict(private=each)) for each in (True, False))
    both = TokenCheck(f'{{"keys": [{PUBLIC_KEY}, {public}]}}', "invoice")
    for setting in (PRIVATE_KEY, f'{{"keys": [{private}, {PRIVATE_KEY}]}}', private):
        token = TokenMint(setting).token(audience="invoice", caller=caller)
        assert both.caller(f"Bearer {token}") == caller
    old = TokenMint(PRIVATE_KEY).token(audience="invoice", caller=caller)
    with pytest.raises(NotSignedIn):
        TokenCheck(public, "invoice").caller(f"Bearer {old}")


def test_a_token_like_one_that_was_good_is_checked() -> None:
    token = TokenMint(PRIVATE_KEY).token(audience="invoice", caller=a_caller("operator"))
    check = TokenCheck(PUBLIC_KEY, "invoice")
    check.caller(f"Bearer {token}")
    for other in (token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), token + "x", token[1:], ""):
        with pytest.raises(NotSignedIn):
            check.caller(f"Bearer {other}")
    with pytest.raises(NotSignedIn):
        TokenCheck(PUBLIC_KEY, "payment").caller(f"Bearer {token}")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_MOST_KEPT", 3)
    mint, check = TokenMint(PRIVATE_KEY), TokenCheck(PUBLIC_KEY, "invoice")
    for _ in range(10):
        check.caller(f"Bearer {mint.token(audience='invoice', caller=a_caller('operator'))}")
    assert len(mint.kept) <= 3 and len(check.kept) <= 3
