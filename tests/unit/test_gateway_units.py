"""The gateway's decisions that need nothing running."""

import asyncio
from copy import deepcopy

import pytest

from services.chassis.http.health import readiness
from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.passwords import Passwords, normal_email
from services.gateway.live.hub import LONGEST_QUEUE, Hub, Listener, StateChange
from services.gateway.web.limits import RequestLimit
from services.gateway.web.ready import status_in
from services.gateway.web.security import content_security_policy
from tests.running.settings import gateway_settings


def test_a_limit_is_not_copied_with_the_router_that_it_stands_on() -> None:
    """Here no loop runs and none is set, as after a test that had one."""
    asyncio.set_event_loop(None)
    limit = RequestLimit(1)

    assert deepcopy([limit]) == [limit]


@pytest.mark.parametrize("target", ["/", "/c/oak", "/c/oak/billing?status=unpaid&cursor=a%2Fb", "/c/oak#x"])
def test_paths_of_this_site_are_followed(target: str) -> None:
    assert safe_next(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "c/oak",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test/c/oak",
        "javascript:alert(1)",
        "/\t/evil.test",
        "/c/oak\r\nSet-Cookie: a=b",
        " /c/oak",
        "/\x00",
        "/" + "a" * 600,
    ],
)
def test_anything_else_leads_to_the_start(target: str | None) -> None:
    assert safe_next(target) == "/"


async def test_passwords_are_argon2id_and_nobodys_is_checked_too() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("correct horse battery")

    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.check(hashed, "correct horse battery")
    assert not await passwords.check(hashed, "correct horse batterY")
    assert not await passwords.check(None, "no login has this password")
    assert not await passwords.check("not a hash", "x")
    assert passwords.checks == 4
    assert not passwords.outdated(hashed)


async def test_a_password_is_the_same_from_every_keyboard() -> None:
    passwords = Passwords()

    assert await passwords.check(await passwords.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")


def test_emails_are_compared_without_case_width_and_spaces() -> None:
    assert normal_email(" Ann@Example.COM\t") == "ann@example.com"
    assert normal_email("\uff21nn@example.com") == "ann@example.com"


def test_all_settings_that_are_wrong_are_said_at_once() -> None:
    with pytest.raises(ValueError, match="2 validation errors"):
        gateway_settings("postgresql://x", invoice_url="nowhere", ready_parts="relay=not a url")


def test_parts_come_as_names_and_addresses() -> None:
    settings = gateway_settings("x", ready_parts="relay=http://a.test:1, invoice.api=http://b.test:2")

    parts = {name: str(url) for name, url in settings.ready_parts.items()}
    assert parts == {"relay": "http://a.test:1/", "invoice.api": "http://b.test:2/"}
    assert settings.csrf_secrets != gateway_settings("x", internal_token_private_key="other").csrf_secrets


def test_the_policy_names_stripe_where_it_is_stripe() -> None:
    live = content_security_policy("https://js.stripe.com")
    sandbox = content_security_policy("http://127.0.0.1:9000")

    assert "script-src 'self' https://js.stripe.com https://*.js.stripe.com" in live
    assert "https://hooks.stripe.com" in live and "connect-src 'self' https://api.stripe.com" in live
    assert "stripe.com" not in sandbox and "frame-src http://127.0.0.1:9000" in sandbox
    assert "unsafe" not in live + sandbox


def test_a_whole_is_as_ready_as_its_parts() -> None:
    assert answered({"a": "ok"}, {}) == answered({}, {}) == ("ready", 200)
    assert answered({"a": "ok"}, {"b": "OSError"}) == ("degraded", 200)
    assert answered({"a": "away"}, {"b": "ok"}) == ("failing", 503)
    assert status_in(200, b'{"status":"ready"}') == status_in(200, b"[]") == "ok"
    assert status_in(200, b'{"status":"degraded"}') == "degraded"
    lacks = b'{"status":"degraded","checks":{"kafka":"ok","stripe":"StripeUnavailable","database":"OSError"}}'
    assert status_in(200, lacks) == "degraded: database, stripe"
    assert status_in(503, b'{"status":"starting"}') == "starting"
    assert status_in(503, b"[]") == status_in(503, b"<html>") == status_in(503, b'{"status":[]}') == "failing"


def answered(needed: dict[str, str], reported: dict[str, str]) -> tuple[str, int | None]:
    answer = readiness(needed, reported)
    return answer.content["status"], answer.status_code


def test_a_page_that_does_not_read_falls_behind_and_holds_no_more_than_its_queue() -> None:
    from services.chassis.ids import new_id

    listener = Listener()
    listener.behind = False
    for version in range(LONGEST_QUEUE + 1):
        listener.push("invoice", StateChange(new_id(), "paid", version))

    assert listener.behind and listener.waiting() == []


def test_records_that_cannot_be_read_are_skipped() -> None:
    from services.chassis.ids import new_id

    hub = Hub("127.0.0.1:1")
    with hub.listening(new_id(), new_id(), b"s") as listener:
        for raw in (None, b"", b"\xff", b"[]", b'{"specversion":"1.0"}'):
            hub.publish("invoice.paid", raw)
        assert listener.waiting() == []
