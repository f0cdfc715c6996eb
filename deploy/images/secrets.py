"""New secrets for an installation in containers, as an environment file: `python -m deploy.images.secrets`.

Passed with `docker compose --env-file`, they take the place of every demo default in docker-compose.yml.
"""

import secrets
import sys
from collections.abc import Iterator

from deploy.ops import acls
from deploy.ops.secrets import Secrets


def lines() -> Iterator[str]:
    """One `NAME='value'` for each variable that docker-compose.yml, and secure.yml, take a secret from."""
    new = Secrets.new()
    values = {f"{role.upper()}_PASSWORD": password for role, password in new.role_passwords.items()}
    values |= {f"{user.upper()}_KAFKA_PASSWORD": secrets.token_hex(24) for user in acls.users()}
    values |= {
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "KAFKA_ADMIN_PASSWORD": secrets.token_hex(24),
        "INTERNAL_TOKEN_PRIVATE_KEY": new.token_private_key,
        "INTERNAL_TOKEN_PUBLIC_KEY": new.token_public_key,
        "DOCUMENT_TOKEN_PRIVATE_KEY": new.document_token_private_key,
        "DOCUMENT_TOKEN_PUBLIC_KEY": new.document_token_public_key,
        "OPERATOR_API_KEY": new.operator_key,
        "SANDBOX_SECRET_KEY": new.sandbox_secret_key,
        "SANDBOX_PUBLISHABLE_KEY": new.sandbox_publishable_key,
        "SANDBOX_WEBHOOK_SECRET": new.webhook_secret,
        "INSTALLATION": new.installation,
        "METADATA_KEY": new.metadata_key,
        "PAY_LINK_KEY": new.pay_link_key,
        "LOGIN_KEY": new.login_key,
        "CONSOLE_KEY": new.console_key,
        "METRICS_TOKEN": new.metrics_token,
        "GRAFANA_PASSWORD": secrets.token_hex(24),
        "CLINICPAY_DEMO": "0",
    }
    for name, value in values.items():
        yield f"{name}='{value}'\n"


if __name__ == "__main__":
    sys.stdout.writelines(lines())
