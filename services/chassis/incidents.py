"""Faults that go on: a line when one begins, one a minute while it lasts, and one when it has ended, whatever its rate.

A fault of its own, such as one parked event, is logged where it happens. This is for a part that does not answer, or
refuses everybody, so that each request, event and attempt meets the same fault.
"""

import time
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

AGAIN_SECONDS = 60.0
"""Between two lines about an incident that goes on."""
QUIET_SECONDS = 10.0
"""So long nothing may fail until it has ended: a fault that comes and goes is one incident."""
_MOST = 100


@dataclass(slots=True)
class _Incident:
    began: float
    said: float
    failed: float
    count: int = 1


class Incidents:
    """The incidents of this process, by name and part."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Incident] = {}

    def failed(self, name: str, part: str = "", **ids: object) -> None:
        """Something failed by this incident. `ids` are of the one that is logged."""
        now = time.monotonic()
        known = self._open.get((name, part))
        if known is None:
            if len(self._open) < _MOST:
                self._open[name, part] = _Incident(now, now, now)
                log.error(f"{name}_begins", **_named(part), **ids)
            return
        known.failed, known.count = now, known.count + 1
        if now - known.said >= AGAIN_SECONDS:
            known.said = now
            log.error(
                f"{name}_goes_on", count=known.count, seconds=round(now - known.began), **_named(part), **ids
            )

    def worked(self, name: str, part: str = "") -> None:
        """Something worked that the incident would have stopped. Call it whenever it works: the first time is early."""
        if not self._open:
            return
        known, now = self._open.get((name, part)), time.monotonic()
        if known is not None and now - known.failed >= QUIET_SECONDS:
            del self._open[name, part]
            log.warning(f"{name}_ends", count=known.count, seconds=round(now - known.began), **_named(part))

    def open_now(self) -> dict[tuple[str, str], float]:
        """1 for each incident, by name and part, in which something failed within a minute."""
        now = time.monotonic()
        found = list(self._open.items())
        return {key: 1.0 for key, each in found if now - each.failed < AGAIN_SECONDS}

    def is_open(self, name: str, part: str = "") -> bool:
        """Whether something failed by this incident within a minute."""
        return (name, part) in self.open_now()

    def forget(self) -> None:
        self._open.clear()


incidents = Incidents()


def _named(part: str) -> dict[str, str]:
    return {"part": part} if part else {}
