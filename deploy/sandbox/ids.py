"""Ids that look like Stripe's."""

import secrets
import string

LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    return f"{prefix}_{_letters(length)}"


def client_secret(id: str) -> str:
    return f"{id}_secret_{_letters(25)}"


def _letters(length: int) -> str:
    return "".join(LETTERS[byte % 62] for byte in secrets.token_bytes(length))
