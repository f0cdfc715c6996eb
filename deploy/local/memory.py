"""How much memory processes and all their children take, as Linux counts it."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def proportional_bytes(roots: Iterable[int]) -> int | None:
    """PSS of these processes and their descendants: shared pages count once. None where Linux does not say."""
    if not (PROC / "self" / "smaps_rollup").exists():
        return None
    children = _children()
    found, waiting = set[int](), list(roots)
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children[pid]
    return sum(map(_pss, found))


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = defaultdict(list)
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children[parent].append(int(stat.parent.name))
    return children


def _pss(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
