"""Settings of a broker that lets everybody do everything, and of one that knows its users."""

from pathlib import Path

from deploy.ops.scram import MECHANISM

ADMIN = "admin"
CONTROLLER = "controller"
OPEN_SETTINGS = {"listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT"}


def secured(password: str, certificate: Path | None = None) -> dict[str, str]:
    """Settings of a broker that knows its users and refuses what no rule allows.

    The controller has a user of its own, with the same password: SCRAM's users stand in what it serves. With a
    certificate (a PEM file with its key, signed by itself) its clients reach it by TLS alone.
    """
    word, protocol = _quoted(password), "SASL_SSL" if certificate else "SASL_PLAINTEXT"
    return {
        "listener.security.protocol.map": f"CLIENTS:{protocol},CONTROLLER:SASL_PLAINTEXT",
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "listener.name.clients.sasl.enabled.mechanisms": MECHANISM,
        "listener.name.clients.scram-sha-512.sasl.jaas.config": (
            f"org.apache.kafka.common.security.scram.ScramLoginModule required username={ADMIN} password={word};"
        ),
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": (
            "org.apache.kafka.common.security.plain.PlainLoginModule required"
            f" username={CONTROLLER} password={word} user_{CONTROLLER}={word};"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:{CONTROLLER}",
        **({} if certificate is None else _stores(certificate)),
    }


def _stores(certificate: Path) -> dict[str, str]:
    stores = ("keystore", "truststore")
    return {f"ssl.{store}.type": "PEM" for store in stores} | {
        f"ssl.{store}.location": str(certificate) for store in stores
    }


def _quoted(word: str) -> str:
    """As a login module's option in a file of properties: both read backslashes as escapes."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.replace("\\", "\\\\")
