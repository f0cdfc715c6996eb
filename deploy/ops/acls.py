"""Kafka's users and what each may do, made from `contracts.events.topics`. All else is refused.

A service writes the topics that it is the writer of and reads its own topics, in consumer groups that begin with
its name. The relay writes what services state; the auditor reads everything and changes nothing. Nobody but the
administrator makes, alters or deletes a topic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

import stamina
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from contracts.events.topics import ALL, Topic
from deploy.ops.scram import put_users
from services.chassis.settings import KafkaSecurity

RELAY = "relay"
AUDITOR = "auditor"
KNOWN_WITHIN = 30
"""Seconds."""
_ANY = 1
_ALLOW = 3


class AclRefused(Exception):
    """The broker did not change or show its rules; it may have no authorizer."""


class Resource(IntEnum):
    TOPIC = 2
    GROUP = 3


class Pattern(IntEnum):
    LITERAL = 3
    PREFIXED = 4


class Operation(IntEnum):
    READ = 3
    WRITE = 4
    DESCRIBE = 8


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """Allows a user something."""

    user: str
    operation: int
    resource: int
    name: str
    pattern: int = Pattern.LITERAL
    host: str = "*"


def users(topics: Iterable[Topic] = ALL) -> list[str]:
    """Everybody who has rules: the services, the relay, the auditor."""
    services = {name for topic in topics for name in (topic.writer, *topic.readers)}
    return [*sorted(services), RELAY, AUDITOR]


def wanted(topics: Iterable[Topic] = ALL) -> set[Acl]:
    """The rules that the topics' registry means."""
    topics = list(topics)
    readers = {reader for topic in topics for reader in topic.readers}
    return {
        *(Acl(topic.writer, Operation.WRITE, Resource.TOPIC, topic.name) for topic in topics),
        *(Acl(RELAY, Operation.WRITE, Resource.TOPIC, topic.name) for topic in topics),
        *(
            Acl(name, Operation.READ, Resource.TOPIC, topic.name)
            for topic in topics
            for name in topic.readers
        ),
        *(Acl(name, Operation.READ, Resource.GROUP, name, Pattern.PREFIXED) for name in readers),
        *(Acl(AUDITOR, Operation.READ, Resource.TOPIC, topic.name) for topic in topics),
        Acl(AUDITOR, Operation.DESCRIBE, Resource.GROUP, "*"),
    }


async def ensure(
    bootstrap_servers: str,
    security: KafkaSecurity,
    passwords: Mapping[str, str],
    topics: Iterable[Topic] = ALL,
) -> tuple[set[Acl], set[Acl]]:
    """Set the users' passwords, add the rules that are missing, and remove the ones that these users have too many.

    `security` is the administrator's. Answers with what was added and what was taken away, once the users can log in.
    Raises `AclRefused`, `UserRefused`.
    """
    topics = list(topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **security.options())
    await admin.start()
    try:
        await put_users(admin, passwords)
        found, right = await _found(admin, set(users(topics))), wanted(topics)
        for acl in sorted(right - found):
            await _create(admin, acl)
        for acl in sorted(found - right):
            await _delete(admin, acl)
    finally:
        await admin.close()
    for user, password in passwords.items():
        await _log_in(bootstrap_servers, replace(security, username=user, password=password))
    return right - found, found - right


async def _log_in(bootstrap_servers: str, security: KafkaSecurity) -> None:
    """The controller has the password; a broker learns it a moment later, and refuses the user until then."""
    async for attempt in stamina.retry_context(on=KafkaConnectionError, timeout=KNOWN_WITHIN, attempts=None):
        with attempt:
            client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **security.options())
            try:
                await client.start()
            finally:
                await client.close()


async def _found(admin: AIOKafkaAdminClient, ours: set[str]) -> set[Acl]:
    answer = await admin._send_request(DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY))
    _check(answer.error_code, answer.error_message)
    return {
        Acl(principal.removeprefix("User:"), operation, kind, name, pattern, host)
        for kind, name, pattern, rules in answer.resources
        for principal, host, operation, permission in rules
        if permission == _ALLOW and principal.removeprefix("User:") in ours
    }


async def _create(admin: AIOKafkaAdminClient, acl: Acl) -> None:
    answer = await admin._send_to_controller(CreateAclsRequest(*_spelt(acl)))
    for code, words in answer.creation_responses:
        _check(code, words)


async def _delete(admin: AIOKafkaAdminClient, acl: Acl) -> None:
    answer = await admin._send_to_controller(DeleteAclsRequest(*_spelt(acl)))
    for code, words, *_ in answer.filter_responses:
        _check(code, words)


def _spelt(acl: Acl) -> tuple[int, str, int, str, str, int, int]:
    return acl.resource, acl.name, acl.pattern, f"User:{acl.user}", acl.host, acl.operation, _ALLOW


def _check(code: int, words: str | None) -> None:
    if code:
        raise AclRefused(words or f"error {code}")
