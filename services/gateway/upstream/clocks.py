"""How far the services' clocks are from this gateway's, by the `Date` of their answers."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import structlog

from services.chassis.telemetry.metrics import Gauge

log = structlog.get_logger()

_offset = Gauge(
    "clinicpay.clock.offset",
    "s",
    "How far a service's clock is ahead of this gateway's, to about a second; below zero it is behind",
    "peer.service",
)

NOTICED_SECONDS = 5
"""`Date` has whole seconds, and an answer takes a moment. Tokens bear `auth.LEEWAY_SECONDS`."""


class Clocks:
    """The newest skew by service, in seconds; above zero the service is ahead."""

    def __init__(self) -> None:
        self._skews: dict[str, float] = {}
        self._measured: dict[tuple[str], float] = {}
        _offset.read_by(lambda: self._measured)
        self._looked: dict[str, float] = {}

    def note(self, service: str, headers: Mapping[str, str]) -> None:
        """Measure at most once a second, and log when a clock goes wrong and when it is right again."""
        now = time.time()
        if "date" not in headers or abs(now - self._looked.get(service, 0.0)) < 1:
            return
        self._looked[service] = now
        skew = parsedate_to_datetime(headers["date"]).timestamp() - now
        self._measured[service,] = skew
        wrong, was_wrong = abs(skew) > NOTICED_SECONDS, service in self._skews
        if wrong:
            self._skews[service] = skew
            if not was_wrong:
                log.error("clock_skew_begins", part=service, seconds=round(skew))
        elif was_wrong:
            del self._skews[service]
            log.warning("clock_skew_ends", part=service)

    def state(self) -> str:
        """`ok`, or which services' clocks are wrong."""
        return ", ".join(f"{service} {_words(skew)}" for service, skew in sorted(self._skews.items())) or "ok"


def _words(skew: float) -> str:
    return f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
