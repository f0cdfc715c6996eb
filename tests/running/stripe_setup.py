"""`clinicpay stripe` against the sandbox: its settings, its commands, and an operator's own calls to Stripe."""

from typing import Any

import httpx2

from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.findings import Finding
from deploy.sandbox.embedded import RunningSandbox
from tests.running.commands import command

SITE = "https://pay.example.com"
URL = f"{SITE}/webhooks/stripe"


def given(stripe: RunningSandbox, **changes: Any) -> Given:
    known: dict[str, Any] = {
        "secret_key": stripe.secret_key,
        "publishable_key": stripe.publishable_key,
        "webhook_secrets": ("whsec_one", "whsec_two"),
        "public_url": SITE,
        "api_base": stripe.url,
    }
    return Given(**known | changes)


async def run(stripe: RunningSandbox, *words: str, **changes: str) -> Any:
    environment = {
        "STRIPE_SECRET_KEY": stripe.secret_key,
        "STRIPE_PUBLISHABLE_KEY": stripe.publishable_key,
        "STRIPE_WEBHOOK_SECRET": "whsec_one,whsec_two",
        "STRIPE_API_BASE": stripe.url,
        "PUBLIC_URL": SITE,
    }
    return await command("stripe", *words, **environment | changes)


async def post(stripe: RunningSandbox, path: str, account: str = "", **form: Any) -> Any:
    headers = {"Authorization": f"Bearer {stripe.secret_key}"}
    headers |= {"Stripe-Account": account} if account else {}
    async with httpx2.AsyncClient(base_url=stripe.url, headers=headers, trust_env=False) as http:
        answer = await http.post(f"/v1/{path}", data=form)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(stripe: RunningSandbox, path: str) -> list[Any]:
    headers = {"Authorization": f"Bearer {stripe.secret_key}"}
    async with httpx2.AsyncClient(base_url=stripe.url, headers=headers, trust_env=False) as http:
        found: list[Any] = (await http.get(f"/v1/{path}")).json()["data"]
    return found


async def set_up(stripe: RunningSandbox) -> None:
    done = await run(stripe, "setup", "--yes")
    assert done.exit_code == 0, done.output


def bad(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.level) for finding in findings if finding.level in ("wrong", "unknown")]
