"""CPU seconds of processes, as Linux counts them in /proc."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """CPU of a process and its descendants, ended ones included."""
    return sum(_of(pid) for pid in descendants(root))


def descendants(root: int) -> Iterator[int]:
    """A process, its children, and theirs."""
    children, waiting = _children(), [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, [])


def _of(pid: int) -> float:
    """Of one process and its children that have ended and been waited for."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended; its parent has its time
        return 0.0
    return sum(map(int, fields[11:15])) / _TICK


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds by part of the system."""

    seconds: Mapping[str, float]

    @classmethod
    def now(cls, pids: Mapping[str, int]) -> "Usage":
        return cls({name: cpu_seconds(pid) for name, pid in pids.items()})

    def since(self, before: "Usage") -> "Usage":
        return Usage({name: used - before.seconds.get(name, 0.0) for name, used in self.seconds.items()})

    def of(self, names: Iterable[str]) -> float:
        return sum(self.seconds.get(name, 0.0) for name in names)
