"""Settings of each service for tests: real databases and keys; brokers and mail servers that do not answer."""

from typing import Any

from pydantic import SecretStr

from deploy.sandbox.embedded import RunningSandbox
from services.gateway.settings import Settings as GatewaySettings
from services.invoice.settings import Settings as InvoiceSettings
from services.notification.settings import Settings as NotificationSettings
from services.payment.settings import Settings as PaymentSettings
from services.payment.stripe.seal import Seal
from tests.builders.callers import PRIVATE_KEY, PUBLIC_KEY

NOBODY = "127.0.0.1:1"
"""An address where no broker and no service answers."""
OPERATOR_KEY = "a-test-operator-key"
LOGIN_KEY = "a-key-for-logins-of-thirty-two-characters"
PAY_LINK_KEY = "a-key-for-links-of-thirty-two-characters"
SEAL = Seal("harbour", (b"a-key-of-thirty-two-characters-0",))
COMMON: dict[str, Any] = {
    "http_port": 1,
    "kafka_bootstrap_servers": NOBODY,
    "internal_token_public_key": PUBLIC_KEY,
}


def invoice_settings(database_url: str) -> InvoiceSettings:
    return InvoiceSettings(database_url=database_url, **COMMON)


def payment_settings(
    database_url: str, sandbox: RunningSandbox | None = None, **changes: Any
) -> PaymentSettings:
    """The sandbox is Stripe; without one, nobody answers."""
    given = COMMON | {
        "database_url": database_url,
        "stripe_secret_key": sandbox.secret_key if sandbox else "sk_test_1",
        "stripe_webhook_secret": sandbox.webhook_secret if sandbox else "whsec_1",
        "stripe_api_base": sandbox.url if sandbox else f"http://{NOBODY}",
        "installation": SEAL.installation,
        "metadata_key": SEAL.keys[0].decode(),
    }
    given |= {"stripe_calls_per_second": 10_000, "stripe_calls_per_second_of_account": 10_000}
    given |= {"stripe_timeout_seconds": 2} if sandbox else {}
    return PaymentSettings.model_validate(given | changes)


def notification_settings(database_url: str) -> NotificationSettings:
    return NotificationSettings(
        database_url=database_url,
        smtp_url=f"smtp://{NOBODY}",
        mail_from="billing@example.com",
        portal_url="http://portal.test",
        pay_link_key=SecretStr(PAY_LINK_KEY),
        **COMMON,
    )


def gateway_settings(database_url: str, **changes: Any) -> GatewaySettings:
    given = COMMON | {
        "database_url": database_url,
        "internal_token_private_key": PRIVATE_KEY,
        "invoice_url": "http://invoice.test",
        "payment_url": f"http://{NOBODY}",
        "notification_url": "http://notification.test",
        "public_url": "http://portal.test",
        "login_key": LOGIN_KEY,
        "pay_link_key": PAY_LINK_KEY,
        "stripe_publishable_key": "pk_test_1",
        "stripe_js_url": "http://stripe.test/v3/",
        "bootstrap_operator_key": OPERATOR_KEY,
    }
    return GatewaySettings(**given | changes)
