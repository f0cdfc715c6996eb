"""New secrets for an installation."""

import json
import secrets
from dataclasses import dataclass
from typing import Self

from deploy.ops.database import READERS, all_roles


@dataclass(frozen=True)
class Secrets:
    """All that an installation keeps secret, of the sandbox too. Made once, and kept where its owner alone reads it."""

    role_passwords: dict[str, str]
    token_private_key: str
    token_public_key: str
    sandbox_secret_key: str
    sandbox_publishable_key: str
    webhook_secret: str
    operator_key: str
    installation: str
    metadata_key: str
    pay_link_key: str
    login_key: str
    console_key: str
    metrics_token: str
    document_token_private_key: str
    document_token_public_key: str

    @classmethod
    def new(cls) -> Self:
        from joserfc.jwk import OKPKey

        key, documents = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
        return cls(
            role_passwords=role_passwords(),
            token_private_key=json.dumps(key.as_dict(private=True)),
            token_public_key=json.dumps(key.as_dict(private=False)),
            sandbox_secret_key=f"sk_test_{secrets.token_hex(24)}",
            sandbox_publishable_key=f"pk_test_{secrets.token_hex(24)}",
            webhook_secret=f"whsec_{secrets.token_hex(24)}",
            operator_key=f"cp_{secrets.token_urlsafe(32)}",
            installation=f"clinicpay-{secrets.token_hex(4)}",
            metadata_key=secrets.token_hex(24),
            pay_link_key=secrets.token_hex(24),
            login_key=secrets.token_hex(24),
            console_key=secrets.token_hex(24),
            metrics_token=secrets.token_hex(24),
            document_token_private_key=json.dumps(documents.as_dict(private=True)),
            document_token_public_key=json.dumps(documents.as_dict(private=False)),
        )


def role_passwords() -> dict[str, str]:
    return {role: secrets.token_hex(24) for role in (*all_roles(), *READERS)}
