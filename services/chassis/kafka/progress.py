"""Whether a consumer group gets on with what waits for it: one notion, for readiness and for ending the process.

A partition waits since the first look that found records behind its position, or since a batch of it was first begun,
until a batch of it is finished. How far records were fetched says nothing: a batch that is refused for ever is fetched
again and again.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Partition = Any
"""aiokafka's topic and partition."""

UNREADY_SECONDS = 90
"""How long a partition may wait until its worker is not ready. Longer than a batch is retried in place."""
STUCK_SECONDS = 120
"""How long it may wait, with nobody at work on it, until its process ends itself. A new one starts well."""


class NoProgress(Exception):
    """A consumer group does not get on. The text names its partition, for how long, and whether its batches fail."""


@dataclass(slots=True)
class _Try:
    since: float
    failed: bool = False


@dataclass(slots=True)
class Progress:
    """Of one consumer group in this process."""

    group: str
    clock: Callable[[], float] = time.monotonic
    _waits: dict[Partition, float] = field(default_factory=dict)
    tries: dict[Partition, _Try] = field(default_factory=dict)

    def began(self, partitions: Iterable[Partition]) -> None:
        """A batch with records of these partitions is handled."""
        for partition in partitions:
            self.tries.setdefault(partition, _Try(self.clock()))

    def failed(self, partitions: Iterable[Partition]) -> None:
        """That batch was given up; it will come again."""
        for partition in partitions:
            self.tries.setdefault(partition, _Try(self.clock())).failed = True

    def finished(self, partitions: Iterable[Partition]) -> None:
        """That batch has committed."""
        for partition in partitions:
            self.tries.pop(partition, None)
            self._waits.pop(partition, None)

    @contextmanager
    def of(self, partitions: Collection[Partition]) -> Iterator[None]:
        """While a batch of these partitions is handled."""
        self.began(partitions)
        try:
            yield
        except Exception:
            self.failed(partitions)
            raise
        self.finished(partitions)

    def looked(self, assigned: Collection[Partition], waiting: Collection[Partition]) -> None:
        """Of the partitions that this process has, these have records that were not fetched."""
        now = self.clock()
        self._waits = {partition: self._waits.get(partition, now) for partition in waiting}
        self.tries = {partition: each for partition, each in self.tries.items() if partition in assigned}

    def unknown(self) -> None:
        """The broker did not answer, or a partition has just gone: what stood still is not known."""
        self._waits = {}

    def check(self) -> None:
        """Raise `NoProgress` when the worker is not ready."""
        now = self.clock()
        begun = {partition: each.since for partition, each in self.tries.items()}
        for partition in self._waits.keys() | begun.keys():
            since = min(self._waits.get(partition, now), begun.get(partition, now))
            if now - since > UNREADY_SECONDS:
                raise NoProgress(self._words(partition, now - since))

    def stuck(self) -> str | None:
        """Why the process should end: nobody is at work on what waits, or a batch came to no end. None: it need not.

        Batches that fail are tried again, and a new process would do no better.
        """
        failing = {partition for partition, each in self.tries.items() if each.failed}
        begun = {partition: each.since for partition, each in self.tries.items() if not each.failed}
        for partition, since in (self._waits | begun).items():
            if partition not in failing and (seconds := self.clock() - since) > STUCK_SECONDS:
                return self._words(partition, seconds)
        return None

    def _words(self, partition: Partition, seconds: float) -> str:
        tried = self.tries.get(partition)
        why = "its batches fail" if tried and tried.failed else "nothing is finished"
        return f"no progress of {self.group} on {partition} for {seconds:.0f} s: {why}"
