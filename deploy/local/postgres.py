"""PostgreSQL 18 on this machine, without Docker and without root.

    async with EmbeddedPostgres(data_dir) as postgres:
        connection = await asyncpg.connect(postgres.admin_dsn)

Under root the server runs as `nobody`; if that account cannot enter `data_dir`, the data goes to
`/var/lib/clinicpay/…` and `moved_to` says where.
"""

import asyncio
import secrets
import shutil
import signal
import tarfile
import tempfile
import zipfile
from pathlib import Path

import asyncpg

from deploy.local import jars, places
from deploy.local.errors import EmbeddedError
from deploy.local.process import Child, free_port, port_is_free
from deploy.local.server import Server
from deploy.ops.database import UNREACHABLE

MAJOR = "18"
START_TIMEOUT = 60.0
ATTEMPTS = 5

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "io_method": "sync",  # three I/O workers less; the data is small and in memory
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
}
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(Server):
    """One server on a free port of 127.0.0.1, reached by password as the superuser `postgres`.

    data_dir    kept between runs; None: a directory that goes with the server
    durable     False: no fsync, and in memory where there is room, for tests
    log         file for the server's log; default: `postgres.log` next to the data
    """

    def __init__(
        self, data_dir: Path | None = None, *, durable: bool = True, log: Path | None = None
    ) -> None:
        super().__init__()
        self._account = places.unprivileged()
        self._throwaway = data_dir is None
        wanted = data_dir.absolute() if data_dir else _temporary(self._account, durable)
        self._home = places.enterable(wanted, self._account, places.SHARED_DATA)
        self.moved_to = self._home if self._home != wanted else None
        self._settings = SETTINGS | ({} if durable else THROWAWAY)
        self._log = log or self._home / "postgres.log"
        self._password = ""

    @property
    def admin_dsn(self) -> str:
        """DSN of the superuser, on the database `postgres`."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres"

    async def start(self) -> None:
        """Start and wait until it answers. EmbeddedError if it cannot; a restart keeps its port."""
        binaries = await asyncio.to_thread(self._prepare)
        for attempt in range(1, ATTEMPTS + 1):
            if not self.port or not port_is_free(self.port):
                self.port = free_port()
            self._child = await self._launch(binaries)
            if await self._became_ready(START_TIMEOUT):
                return
            await self.stop()
            if attempt == ATTEMPTS:
                raise EmbeddedError(f"PostgreSQL does not start: {self.child.last_words()} ({self._log})")
            await asyncio.sleep(0.3 * attempt)  # its port was taken, or the last server is still ending

    async def stop(self, within: float = 10) -> None:
        """Fast shutdown: open transactions roll back, everything committed is on disk."""
        if self._child:
            await self._child.stop(signal.SIGINT, within)
        if self._throwaway:
            shutil.rmtree(self._home, ignore_errors=True)

    async def ready(self) -> bool:
        """True if a server answers on our port and it is ours."""
        try:
            connection = await asyncpg.connect(self.admin_dsn, timeout=5, command_timeout=5)
            try:
                directory = await connection.fetchval("SHOW data_directory")
            finally:
                connection.terminate()
        except UNREACHABLE:
            return False
        return bool(Path(directory) == self.cluster)

    @property
    def cluster(self) -> Path:
        """The directory of the server's files."""
        return self._home / "cluster"

    def _prepare(self) -> Path:
        binaries = _binaries(self._account)
        self._initialise(binaries)
        version = (self.cluster / "PG_VERSION").read_text().strip()
        if version != MAJOR:
            raise EmbeddedError(
                f"the data directory {self.cluster} is of PostgreSQL {version}, this is {MAJOR}: "
                "use another --data, or dump with the old version and load"
            )
        self._password = (self._home / "admin-password").read_text()
        return binaries

    def _initialise(self, binaries: Path) -> None:
        """Make the cluster once, aside and renamed, so that a broken attempt leaves none."""
        if self.cluster.exists():
            return
        aside = self._home / "cluster.new"
        shutil.rmtree(aside, ignore_errors=True)
        password = self._home / "admin-password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(24))
        if self._account:
            self._account.own(self._home)
        argv: list[str | Path] = [
            binaries / "bin" / "initdb",
            "-D",
            aside,
            "-U",
            "postgres",
            "--pwfile",
            password,
        ]
        argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin"]
        argv += ["--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions", "--no-sync"]
        done = places.run(argv, self._account, _environment())
        if done.returncode != 0:
            raise EmbeddedError(
                f"initdb failed: {(done.stderr.strip().splitlines() or ['no reason said'])[-1]}"
            )
        aside.rename(self.cluster)

    async def _launch(self, binaries: Path) -> Child:
        argv: list[str | Path] = [binaries / "bin" / "postgres", "-D", self.cluster, "-p", str(self.port)]
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]
        return await Child.start(
            argv,
            log=self._log,
            env=_environment(),
            cwd=Path("/"),
            account=self._account,
            when_orphaned=signal.SIGINT,
        )


def _temporary(account: places.Account | None, durable: bool) -> Path:
    place = None if durable else places.throwaway()
    directory = Path(tempfile.mkdtemp(prefix="clinicpay-postgres-", dir=place))
    if account:
        account.own(directory)
    return directory


def _environment() -> dict[str, str]:
    """Nothing of the user's own PG* variables or locale reaches the server."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"}


def _binaries(account: places.Account | None) -> Path:
    """The unpacked server programs, downloaded on first use."""
    cache = places.enterable(places.cache_dir(), account, places.SHARED_CACHE)
    platform = places.platform_classifier()
    jar = next((j for j in jars.locked("postgres") if j.coordinates == jars.POSTGRES.format(platform)), None)
    if jar is None:
        raise EmbeddedError(f"no PostgreSQL package for {platform}: use docker compose instead")
    unpacked = cache / jar.name.removesuffix(".jar").replace("embedded-postgres-binaries", "postgresql")
    if not unpacked.exists():
        _unpack(jars.fetch([jar], cache / "jars")[0], unpacked)
    return unpacked


def _unpack(jar: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        aside = Path(place) / "unpacked"
        with zipfile.ZipFile(jar) as outer:
            archive = next(name for name in outer.namelist() if name.endswith(".txz"))
            with outer.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:xz") as inner:
                # Python 3.11.4 and later want to be told; the archive is the one whose hash is locked.
                inner.extraction_filter = getattr(tarfile, "tar_filter", None)
                inner.extractall(aside)  # noqa: S202
        aside.chmod(0o755)
        try:
            aside.rename(target)
        except OSError:  # another process was first
            if not target.exists():
                raise
