"""A device in plain words."""

import pytest

from services.gateway.accounts.sessions.domain import device_of

_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/140.0.0.0 Safari/537.36",
            "Chrome on Windows",
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {_KIT} Chrome/140.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 15; SM-S921B) {_KIT} SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.6 Mobile/15E148 Safari/604.1",
            "Safari on an iPhone",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
            "Firefox on an iPhone",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
            "Safari/605.1.15",
            "Safari on a Mac",
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_KIT} Chrome/140.0.0.0 Safari/537.36",
            "Chrome on a Chromebook",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Something for Windows", "Windows"),
        ("curl/8.5.0", ""),
        ("", ""),
        ("<script>alert(1)</script>" * 500, ""),
    ],
)
def test_what_a_browser_says_is_told_in_plain_words(user_agent: str, words: str) -> None:
    assert device_of(user_agent) == words
