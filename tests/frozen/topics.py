"""Topics: names, partitions, how long they are kept, who writes and reads them, and what their records look like."""

import json
from pathlib import Path
from typing import Any

from contracts.events import topics
from contracts.events.catalogue import EVENTS
from contracts.events.envelope import CloudEvent
from contracts.events.topics import Topic
from deploy.ops.topics import new_topic
from tests.frozen.picture import Dbs
from tests.tools import generate


async def draw(_: Dbs) -> Any:
    return {topic.name: _topic(topic) for topic in topics.ALL}


def _topic(topic: Topic) -> dict[str, Any]:
    made = new_topic(topic, replicas=3)
    example = _example(topic)
    body = json.loads(example.encode())
    return {
        "kind": topic.kind,
        "writer": topic.writer,
        "readers": sorted(topic.readers),
        "partitions": made.num_partitions,
        "settings": made.topic_configs,
        "key": sorted(name for name, value in example if value == example.key),
        "source": body["source"],
        "dataschema": body["dataschema"],
    }


def _example(topic: Topic) -> CloudEvent:
    path: Path = min(generate.CONTRACTS.glob(f"examples/{topic.name}/*.json"))
    return EVENTS[topic.name].decode(path.read_bytes())
