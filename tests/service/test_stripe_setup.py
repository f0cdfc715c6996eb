"""`clinicpay stripe check` names each thing that is wrong at Stripe, and `setup` mends what it can, once."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.ops.stripe_setup import check, endpoints
from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.findings import exit_code
from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from services.payment import app
from services.payment.consumers import ACTED_ON
from services.payment.stripe.api import API_VERSION
from tests.running.apps import in_own_task, serving
from tests.running.databases import ServiceDb
from tests.running.settings import payment_settings
from tests.running.stripe_setup import SITE, URL, bad, given, listed, post, run, set_up


async def test_on_the_first_day_setup_makes_what_check_misses_and_the_second_time_nothing(
    stripe: RunningSandbox,
) -> None:
    before = await run(stripe, "check")
    planned = await run(stripe, "setup")
    assert await listed(stripe, "webhook_endpoints") == []
    done = await run(stripe, "setup", "--yes")
    again = await run(stripe, "setup", "--yes")
    after = await run(stripe, "check")

    assert before.exit_code == 1
    assert "No endpoint of platform" in before.output
    assert "→ Run `clinicpay stripe setup`." in before.output
    assert "would: make an endpoint of connected accounts" in planned.output
    assert "nothing was changed" in planned.output
    made = await listed(stripe, "webhook_endpoints")
    assert [bool(each["application"]) for each in made] == [True, False]
    for each in made:
        assert (each["url"], sorted(each["enabled_events"])) == (URL, sorted(ACTED_ON))
        assert (each["api_version"], each["status"]) == (API_VERSION, "enabled")
    assert done.output.count("its secret, shown this once: whsec_") == 2
    assert "STRIPE_WEBHOOK_SECRET" in done.output
    assert [each["domain_name"] for each in await listed(stripe, "payment_method_domains")] == [
        "pay.example.com"
    ]
    assert "nothing to do" in again.output
    assert (after.exit_code, "WRONG" in after.output) == (0, False), after.output
    assert "Stripe does not tell an endpoint's secret" in after.output


async def test_of_a_sandbox_that_sends_to_the_installation_nothing_is_wrong(tmp_path: Path) -> None:
    one_secret = {"webhook_secrets": ("whsec_sandbox",), "shares_secret": True}
    async with running_sandbox("http://earlier.example/", state=tmp_path / "state"):
        pass
    async with running_sandbox(URL, state=tmp_path / "state") as sending:
        here = given(sending, public_url=SITE, **one_secret)
        await post(sending, "payment_method_domains", domain_name=here.domain)
        findings = await check.check(here)
        listed_here = await listed(sending, "webhook_endpoints")
    async with running_sandbox(state=tmp_path / "state") as silent:
        assert await listed(silent, "webhook_endpoints") == []

    assert bad(findings) == []
    assert [(each["url"], bool(each["application"])) for each in listed_here] == [(URL, True), (URL, False)]


async def test_an_endpoint_that_somebody_changed_is_named_and_put_right(stripe: RunningSandbox) -> None:
    await set_up(stripe)
    mine = next(each for each in await listed(stripe, "webhook_endpoints") if not each["application"])
    await post(
        stripe,
        f"webhook_endpoints/{mine['id']}",
        **{"disabled": "true", "enabled_events[0]": "charge.succeeded", "enabled_events[1]": "payout.paid"},
    )

    findings = await check.check(given(stripe))

    assert bad(findings) == [("endpoint_disabled", "wrong"), ("endpoint_events", "wrong")]
    words = " ".join(finding.words for finding in findings)
    assert "refund.updated" in words
    assert "Nothing acts on payout.paid." in words
    await set_up(stripe)
    assert bad(await check.check(given(stripe))) == []


async def test_an_endpoint_of_another_version_is_replaced_and_the_old_one_named(
    stripe: RunningSandbox,
) -> None:
    old = await post(
        stripe, "webhook_endpoints", url=URL, api_version="2024-06-20", **{"enabled_events[0]": "*"}
    )
    assert ("endpoint_version", "wrong") in bad(await check.check(given(stripe)))

    await set_up(stripe)
    findings = await check.check(given(stripe))

    assert bad(findings) == [("endpoint_twice", "wrong")]
    [twice] = [finding for finding in findings if finding.check == "endpoint_twice"]
    assert f"delete {old['id']} in the Dashboard" in twice.way


@pytest.mark.parametrize(
    ("changes", "check_name", "words"),
    [
        ({"secret_key": ""}, "secret_key", "STRIPE_SECRET_KEY is not set"),
        ({"secret_key": "pk_test_1"}, "secret_key", "does not begin with sk_test_"),
        ({"secret_key": "sk_test_of_nobody"}, "secret_key", "Stripe refuses STRIPE_SECRET_KEY"),
        ({"publishable_key": ""}, "publishable_key", "STRIPE_PUBLISHABLE_KEY is not set"),
        ({"publishable_key": "pk_live_1"}, "one_mode", "One key is of live mode"),
        ({"publishable_key": "pk_test_of_nobody"}, "same_account", "Stripe refuses the publishable key"),
        ({"webhook_secrets": ()}, "webhook_secret", "STRIPE_WEBHOOK_SECRET is not set"),
        ({"webhook_secrets": ("sk_test_1",)}, "webhook_secret", "does not begin with whsec_"),
        ({"webhook_secrets": ("whsec_one", "whsec_one")}, "webhook_secret", "2 endpoints have a secret each"),
        ({"public_url": ""}, "endpoints", "PUBLIC_URL is not set"),
        ({"public_url": "https://other.example.com"}, "endpoint", "No endpoint of platform sends to"),
        ({"public_url": "https://other.example.com"}, "domain", "Not registered"),
    ],
)
async def test_each_wrong_setting_is_named(
    stripe: RunningSandbox, changes: dict[str, Any], check_name: str, words: str
) -> None:
    await set_up(stripe)

    findings = await check.check(given(stripe, **changes))

    found = [finding for finding in findings if finding.check == check_name and words in finding.words]
    assert found, findings
    assert all(finding.level in ("wrong", "unknown") and finding.way for finding in found)
    assert exit_code(findings) in (1, 2)


async def test_nothing_good_is_said_of_keys_that_are_not_there(stripe: RunningSandbox) -> None:
    findings = await check.check(given(stripe, secret_key="", publishable_key=""))

    assert {finding.level for finding in findings if finding.about in ("keys", "STRIPE_SECRET_KEY")} == {
        "wrong"
    }


def test_live_mode_wants_https_and_endpoints_of_its_own_mode() -> None:
    live = Given("sk_live_1", "pk_live_1", ("whsec_1",), "http://pay.example.com")
    kinds = endpoints.KINDS
    of_test = [endpoints.Endpoint("we_1", kind, ACTED_ON, API_VERSION, True, live=False) for kind in kinds]

    found = bad(endpoints.judged(live, of_test))

    assert [name for name, _ in found] == [
        "endpoint_address",
        "endpoint_mode",
        "endpoint_mode",
        "webhook_secret",
    ]


async def test_keys_of_two_accounts_are_told_by_a_payment(stripe: RunningSandbox) -> None:
    await set_up(stripe)
    first = await check.check(given(stripe))
    await post(stripe, "payment_intents", amount=500, currency="eur")
    same = await check.check(given(stripe))
    fault = {"kind": "404", "method": "GET", "path": "/v1/payment_intents/*"}
    await stripe.control("POST", "/faults/api", fault)
    other = await check.check(given(stripe))

    assert [each.level for each in first if each.check == "same_account"] == ["note"]
    assert [each.level for each in same if each.check == "same_account"] == ["good"]
    assert bad(other) == [("same_account", "wrong")]


@pytest.mark.parametrize(
    ("right", "path"),
    [
        ("Charges and Refunds", "refunds"),
        ("PaymentIntents", "payment_intents"),
        ("SetupIntents", "setup_intents"),
        ("Customers", "customers"),
        ("PaymentMethods", "payment_methods"),
        ("Charges", "charges"),
        ("Events", "events"),
    ],
)
async def test_a_restricted_keys_missing_right_is_named(
    stripe: RunningSandbox, right: str, path: str
) -> None:
    await set_up(stripe)
    resources = (
        "account accounts refunds payment_intents setup_intents customers payment_methods charges events"
        " webhook_endpoints payment_method_domains"
    )
    rights = [f"GET /v1/{each}" for each in resources.split() if each != path]
    await stripe.control("PUT", "/keys", {"key": "rk_test_narrow", "rights": rights})

    findings = await check.check(given(stripe, secret_key="rk_test_narrow"))

    assert [each.about for each in findings if each.check == "rights" and each.level == "wrong"] == [right]
    assert any("cannot be tried without writing" in each.words for each in findings)


async def test_a_key_that_may_not_write_endpoints_cannot_set_up(stripe: RunningSandbox) -> None:
    await stripe.control("PUT", "/keys", {"key": "rk_test_reader", "rights": ["GET *"]})
    done = await run(stripe, "setup", "--yes", STRIPE_SECRET_KEY="rk_test_reader")
    assert done.exit_code == 2
    assert "needs write to Webhook Endpoints" in done.output
    assert await listed(stripe, "webhook_endpoints") == []


async def test_what_cannot_be_asked_is_unknown_and_exits_2(stripe: RunningSandbox) -> None:
    await set_up(stripe)
    await stripe.control(
        "POST", "/faults/api", {"kind": "500_before", "path": "/v1/webhook_endpoints", "count": 9}
    )
    findings = await check.check(given(stripe))
    assert bad(findings) == [("endpoints", "unknown")]
    assert exit_code(findings) == 2
    away = await check.check(given(stripe, api_base="http://127.0.0.1:9"))
    assert bad(away) == [("platform", "unknown")]


async def test_json_has_one_object_a_line(stripe: RunningSandbox) -> None:
    done = await run(stripe, "check", "--json")
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert {row["level"] for row in rows} >= {"good", "wrong", "note"}
    assert all(set(row) == {"check", "level", "about", "words", "way"} for row in rows)
    assert not any(stripe.secret_key in line for line in done.output.splitlines())


async def test_reach_tells_whether_the_installation_takes_each_secret(
    stripe: RunningSandbox, db_payment: ServiceDb
) -> None:
    settings = payment_settings(db_payment.api_dsn, stripe_webhook_secret="whsec_one")
    async with in_own_task(serving(app.api(settings))) as url:
        findings = await check.check(given(stripe, public_url=url), reach_too=True)
    away = await check.check(given(stripe, public_url=url), reach_too=True)

    reached = [finding for finding in findings if finding.check == "reach"]
    assert [finding.level for finding in reached] == ["good", "wrong"]
    assert "answers 400" in reached[1].words
    assert ["does not answer" in each.words for each in away if each.check == "reach"] == [True, True]


async def test_events_that_nobody_acknowledged_are_told(stripe: RunningSandbox) -> None:
    async with running_sandbox("http://127.0.0.1:9/") as deaf:
        await post(
            deaf,
            "payment_intents",
            amount=500,
            currency="eur",
            confirm="true",
            payment_method="pm_card_visa",
            **{"payment_method_types[]": "card"},
        )
        findings = await check.check(given(deaf))
    assert [each.level for each in findings if each.check == "undelivered"] == ["note"]


def test_settings_may_stand_in_files_and_in_a_data_directory(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_test_1\n")
    (tmp_path / "secrets.json").write_text(
        json.dumps(
            {
                "role_passwords": {"auditor": "x"},
                "sandbox_secret_key": "sk_test_s",
                "sandbox_publishable_key": "pk_test_s",
                "webhook_secret": "whsec_s",
            }
        )
    )
    (tmp_path / "postmaster.pid").write_text("1\n2\n3\n5433\n")
    addresses = {"portal": "http://p", "sandbox": "http://s", "postgres_cluster": str(tmp_path)}
    (tmp_path / "addresses.json").write_text(json.dumps(addresses))
    environment = {
        "STRIPE_SECRET_KEY_FILE": str(tmp_path / "key"),
        "STRIPE_WEBHOOK_SECRET": "whsec_a, whsec_b",
        "AUDITOR_DATABASE_URLS": "invoice=postgresql://i,payment=postgresql://p",
        "PUBLIC_URL": f"{SITE}/",
    }

    from_files = Given.of_environment(environment)
    of_up = Given.of_data(tmp_path, {})

    assert (from_files.secret_key, from_files.webhook_secrets) == ("sk_test_1", ("whsec_a", "whsec_b"))
    assert (from_files.webhook_url, from_files.database) == (URL, "postgresql://p")
    assert (of_up.secret_key, of_up.api_base, of_up.public_url) == ("sk_test_s", "http://s", "http://p")
    assert of_up.database is not None
    assert ":5433/clinicpay_payment" in of_up.database
