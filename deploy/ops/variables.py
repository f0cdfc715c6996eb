"""The variables of commands: each may stand in the file that NAME_FILE names."""

import os
from collections.abc import Mapping
from pathlib import Path


def read(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The content of the file that NAME_FILE names, or the variable. None: neither is there, or it is empty."""
    if path := environment.get(f"{name}_FILE"):
        return Path(path).read_text().strip() or None
    return environment.get(name, "").strip() or None


def dsns(urls: str) -> dict[str, str]:
    """DSN by service, from `invoice=postgresql://…,payment=…`."""
    pairs = (entry.strip().partition("=") for entry in urls.split(",") if entry.strip())
    return {name: url for name, _, url in pairs}
