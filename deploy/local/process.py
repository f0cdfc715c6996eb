"""Child processes that never outlive us."""

import asyncio
import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from deploy.local.places import Account

LOG_LIMIT = 20 * 2**20
_PR_SET_PDEATHSIG = 1


# Below the ports that systems give to outgoing connections: one of those may be taken by any of them before the
# process that it was chosen for has started.
_CHOSEN_FROM = range(10_000, 32_000)


CHOSEN: set[int] = set()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago; another process may still take it first.

    No port is chosen twice in a process, since the one that it was chosen for may not have started yet.
    """
    return next(port for port in iter(lambda: random.choice(_CHOSEN_FROM), None) if choose(port))


def choose(port: int) -> bool:
    """Take this port, unless it was chosen before, or somebody listens on it."""
    if port in CHOSEN or not port_is_free(port):
        return False
    CHOSEN.add(port)
    return True


def port_is_free(port: int) -> bool:
    """True if we could listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def open_log(path: Path) -> BinaryIO:
    """A log file to append to; a file above 20 MiB moves to `<name>.1` first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


class Child:
    """A running process in a session of its own, with its output in a log file.

    On Linux the kernel sends it `when_orphaned` as soon as we are gone, even by kill -9.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log

    @classmethod
    async def start(
        cls,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
        account: Account | None = None,
        when_orphaned: signal.Signals = signal.SIGKILL,
    ) -> "Child":
        """Start a program. OSError if it cannot be executed."""
        whom = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        with open_log(log) as output:
            process = await asyncio.create_subprocess_exec(
                *map(str, argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_follow_parent(when_orphaned),
                **whom,  # type: ignore[arg-type]
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Its exit code (negative: the signal that ended it) once it has ended."""
        return await self._process.wait()

    async def stop(self, how: signal.Signals = signal.SIGTERM, within: float = 8) -> bool:
        """Ask it to stop, then kill its whole group; False if it had to be killed."""
        willing = True
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
            try:
                await asyncio.wait_for(self._process.wait(), within)
            except TimeoutError:
                willing = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # what it may have started and left
        await self._process.wait()
        return willing

    def last_words(self) -> str:
        """The last line of its log, for an error message."""
        lines = self.log.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"


def _follow_parent(how: signal.Signals) -> Callable[[], None] | None:
    """Run in the child before exec, so that it ends with us; Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
        if os.getppid() != parent:  # we were gone before the kernel was asked
            os.kill(os.getpid(), how)

    return ask_kernel
