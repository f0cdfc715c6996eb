"""A small file system for PostgreSQL, that can be filled. Needs root, who may mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE_MIB = 1024


@dataclass
class Disk:
    """A tmpfs over PostgreSQL's directory."""

    place: Path

    @property
    def _ballast(self) -> Path:
        return self.place / "ballast"

    def fill(self) -> None:
        """Take every block that is left."""
        with self._ballast.open("wb", buffering=0) as file:
            for piece in (2**20, 4096, 1):
                _write_until_full(file.fileno(), bytes(piece))

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)


def _write_until_full(file: int, piece: bytes) -> None:
    try:
        while os.write(file, piece):
            pass
    except OSError:
        return


@contextmanager
def small_disk(place: Path) -> Iterator[Disk | None]:
    """Mount one on the directory for as long as the block runs; None where that is not allowed."""
    if os.geteuid() != 0 or not _mount(place):
        yield None
        return
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def _mount(place: Path) -> bool:
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=700", "tmpfs", str(place)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
