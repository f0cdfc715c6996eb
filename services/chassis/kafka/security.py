"""Who a process is to Kafka, and how its connection is kept: the same for every client library."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]

LONGEST_WAIT_MS = 1000
"""How long the broker keeps a fetch that finds nothing. An event ends the wait; what is asked anew costs both sides."""


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """By default none: a broker on this machine or on a network of its own."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    cafile: str | None = None
    """Certificates that the broker's must come from; None: those that this machine trusts."""

    def options(self) -> dict[str, Any]:
        """What aiokafka's clients take."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            options["ssl_context"] = self.ssl_context()
        if self.sasl:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options

    @property
    def tls(self) -> bool:
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("SASL_")

    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.cafile)


OPEN = KafkaSecurity()
