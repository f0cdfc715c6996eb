"""Where embedded parts keep what they download and store, and as whom they run.

PostgreSQL refuses to run as root. Under root it runs as `nobody`, who cannot enter root's home, so that its
files go to directories that this account can enter.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.errors import EmbeddedError

SHARED_CACHE = Path("/var/cache/clinicpay")
SHARED_DATA = Path("/var/lib/clinicpay")
MEMORY = Path("/dev/shm")  # noqa: S108  only for data that may go
ROOM = 4 * 2**30
"""Bytes that must be free in memory before data is put there."""


@dataclass(frozen=True)
class Account:
    """Whom a child runs as."""

    uid: int
    gid: int

    def can_enter(self, directory: Path) -> bool:
        """True if this account can go into a directory; found by doing, since every parent counts."""
        return run(["/bin/sh", "-c", 'cd "$0"', directory], self).returncode == 0

    def own(self, directory: Path) -> None:
        """Give an existing directory, and what is in it, to this account."""
        for place, folders, files in os.walk(directory):
            for name in (".", *folders, *files):
                os.chown(Path(place) / name, self.uid, self.gid, follow_symlinks=False)


def run(
    argv: Sequence[str | Path], account: Account | None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a short command as this account, or as ourselves; the answer holds its exit code and output."""
    whom: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    command = [str(word) for word in argv]
    return subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, check=False, **whom)


def unprivileged() -> Account | None:
    """The account for programs that refuse root; None when we are not root anyway."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and this machine has no account 'nobody': run as another user"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def cache_dir() -> Path:
    """Where downloads are kept between runs: CLINICPAY_CACHE, else the user's cache directory."""
    if chosen := os.environ.get("CLINICPAY_CACHE"):
        return _made(Path(chosen).absolute())
    if os.geteuid() == 0:
        return _made(SHARED_CACHE)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return _made(Path(home) / "clinicpay")


def throwaway(memory: Path = MEMORY) -> Path | None:
    """Where data that nobody keeps is fastest: in memory, if there is room; None: where temporary files are.

    A database is made of some 300 files. On a disk that takes up to ten times as long.
    """
    fits = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM
    return memory if fits else None


def enterable(directory: Path, account: Account | None, instead: Path) -> Path:
    """The directory, or one under `instead` named after it when the account cannot reach the directory."""
    directory = _made(directory.absolute())
    if account is None or account.can_enter(directory):
        return directory
    name = f"{directory.name.strip('.')}-{hashlib.sha256(str(directory).encode()).hexdigest()[:10]}"
    return _made(instead / name)


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as refusal:
        raise EmbeddedError(f"cannot make the directory {directory}: {refusal.strerror}") from None
    return directory


def platform_classifier() -> str:
    """This machine as zonky's artifacts name it, e.g. `linux-amd64`."""
    machine = os.uname().machine.lower()
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    arch = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}.get(machine)
    if system is None or arch is None:
        raise EmbeddedError(
            f"no PostgreSQL package for {sys.platform} on {machine}: use docker compose instead"
        )
    musl = system == "linux" and any(Path("/lib").glob("ld-musl-*"))
    return f"{system}-{arch}-alpine" if musl else f"{system}-{arch}"
