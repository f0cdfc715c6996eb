"""The sandbox's settings, from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    public_url: str
    """How browsers reach the sandbox; no slash at the end."""
    webhook_url: str = ""
    """Where events are sent; empty sends none."""
    webhook_secret: str = "whsec_sandbox"
    secret_key: str = "sk_test_sandbox"
    publishable_key: str = "pk_test_sandbox"
    state: Path | None = None
    """The SQLite file; None keeps all in memory."""
    host: str = "127.0.0.1"
    port: int = 0


class MissingSettings(Exception):
    """Names every variable that is missing or wrong, at once."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the variables; a secret may also stand in the file that NAME_FILE names."""
    names = ("PUBLIC_URL", "WEBHOOK_URL", "WEBHOOK_SECRET", "SECRET_KEY", "PUBLISHABLE_KEY", "STATE")
    values = {name: _value(environment, f"SANDBOX_{name}") for name in names}
    port = environment.get("HTTP_PORT", "")
    wrong = [
        f"SANDBOX_{name} is missing" for name, value in values.items() if not value and name != "WEBHOOK_URL"
    ]
    if not port.isdecimal():
        wrong.append("HTTP_PORT is missing or not a number")
    if wrong:
        raise MissingSettings("; ".join(wrong))
    return Settings(
        public_url=values["PUBLIC_URL"].rstrip("/"),
        webhook_url=values["WEBHOOK_URL"],
        webhook_secret=values["WEBHOOK_SECRET"],
        secret_key=values["SECRET_KEY"],
        publishable_key=values["PUBLISHABLE_KEY"],
        state=Path(values["STATE"]),
        host=environment.get("HTTP_HOST", "127.0.0.1"),
        port=int(port),
    )


def _value(environment: Mapping[str, str], name: str) -> str:
    if path := environment.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    return environment.get(name, "")
