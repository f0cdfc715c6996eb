"""SCRAM passwords of Kafka's users: made here and sent salted, so that the broker never sees the password itself.

aiokafka has no call for it (KIP-554), so its one message is spelled out here.
"""

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

MECHANISM: Literal["SCRAM-SHA-512"] = "SCRAM-SHA-512"
ITERATIONS = 8192
_SHA_512 = 2


class UserRefused(Exception):
    """The broker did not take a user's password."""


@dataclass(frozen=True, slots=True)
class Salted:
    salt: bytes
    salted_password: bytes

    @classmethod
    def of(cls, password: str) -> "Salted":
        salt = os.urandom(32)
        return cls(salt, hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS))

    def as_option(self, name: str) -> str:
        """As `--add-scram` of Kafka's storage tool takes a first user."""
        salt, salted = (base64.b64encode(part).decode() for part in (self.salt, self.salted_password))
        return f'{MECHANISM}=[name={name},iterations={ITERATIONS},salt="{salt}",saltedpassword="{salted}"]'


class _Response(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterUserScramCredentials(Request[_Struct]):  # type: ignore[misc]
    API_KEY = 51

    def __init__(self, users: Mapping[str, Salted]) -> None:
        self._users = users

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        rows: list[tuple[Any, ...]] = [
            (name, _SHA_512, ITERATIONS, user.salt, user.salted_password, {})
            for name, user in self._users.items()
        ]
        return request_struct_class([], rows, {})


async def put_users(admin: AIOKafkaAdminClient, passwords: Mapping[str, str]) -> None:
    """Set users' passwords, by name. Raises `UserRefused`."""
    request = _AlterUserScramCredentials({name: Salted.of(word) for name, word in passwords.items()})
    answer: Any = await admin._send_to_controller(request)
    refused = [f"{user}: {words or code}" for user, code, words, _ in answer.results if code]
    if refused:
        raise UserRefused("; ".join(refused))
