"""Apache Kafka in a container, for tests: the image that production runs."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from testcontainers.core.container import DockerContainer

from deploy.local.process import free_port
from tests.running.system import until

IMAGE = "apache/kafka:4.3.1"
# As the image's own start does, on writable copies of its defaults: where they are read-only, it cannot add to them.
START = """
mkdir /tmp/defaults && cp /etc/kafka/docker/* /tmp/defaults && chmod u+w /tmp/defaults/*
java -cp '/opt/kafka/libs/*' kafka.docker.KafkaDockerWrapper setup --default-configs-dir /tmp/defaults \\
  --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config
exec java -Xmx512m -cp '/opt/kafka/libs/*' kafka.Kafka /opt/kafka/config/server.properties
"""


def can_run() -> bool:
    """Whether an engine answers and has the image, found out by asking for both."""
    try:
        subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@asynccontextmanager
async def kafka_container() -> AsyncIterator[str]:
    """A single broker, reachable at the bootstrap servers that are yielded."""
    # Its reaper is one more image to pull; the container is stopped here, whatever happens.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    port = free_port()
    container = DockerContainer(IMAGE).with_bind_ports(9092, port).with_command(["bash", "-ec", START])
    container.with_env("CLUSTER_ID", "5L6g3nShT-eMCtK--X86sw")
    for name, value in {
        "NODE_ID": "1",
        "PROCESS_ROLES": "broker,controller",
        "CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "LISTENERS": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://localhost:9093",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "GROUP_COORDINATOR_APPEND_LINGER_MS": "0",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
    }.items():
        container.with_env(f"KAFKA_{name}", value)
    with container:
        bootstrap = f"127.0.0.1:{port}"
        await until(lambda: _answers(port) and _serves(bootstrap), 90)
        yield bootstrap


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _serves(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await admin.start()
        await admin.describe_cluster()
    except Exception:  # whatever a broker that is just starting says
        return False
    finally:
        await admin.close()
    return True
