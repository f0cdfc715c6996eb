"""Generated contracts: `python -m tests.tools.generate` writes them, and with `--check` says which are not fresh.

contracts/schemas/*.json    JSON Schema 2020-12 of each event as it stands in a record
contracts/asyncapi.yaml     AsyncAPI 3: topics, who sends and who receives
contracts/openapi/*.json    OpenAPI 3.1 of each service, and of the gateway's public API
README.md                   five of the measured figures, from docs/bench.json
docs/performance.md         all of them
docs/money.md               the tables of states, by tests.tools.money
docs/metrics.md             the table of metrics, by tests.tools.metrics
deploy/observability/grafana/dashboards/*.json  by tests.tools.dashboards
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from litestar import Litestar

from contracts.events.catalogue import EVENTS
from contracts.events.envelope import CloudEvent, Event
from contracts.events.topics import ALL, Topic
from services.chassis.version import VERSION
from tests.bench import baseline, run
from tests.tools import dashboards, metrics
from tests.tools.money import page

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
FIGURES_BEGIN, FIGURES_END = "<!-- figures -->", "<!-- /figures -->"


def schema_of(event: type[CloudEvent]) -> dict[str, Any]:
    """The whole record: the CloudEvents envelope, and the event's own fields as its `data`."""
    data = event.model_json_schema(ref_template="#/$defs/{model}")
    definitions = data.pop("$defs", {})
    envelope = {"id", "time", "clinic_id", "traceparent"}
    data["properties"] = {name: each for name, each in data["properties"].items() if name not in envelope}
    data["required"] = [name for name in data.get("required", []) if name not in envelope]
    required = ["specversion", "id", "source", "type", "subject", "time", "dataschema", "data"]
    schema_name = f"{event.topic.name}/{event.schema_version}"
    properties: dict[str, Any] = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid"},
        "source": {"const": f"clinicpay/{event.topic.writer}"},
        "type": {"const": event.topic.name},
        "subject": {"type": "string", "description": "The aggregate's id, and the record's key."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": schema_name},
        "traceparent": {"type": "string", "description": "W3C trace context of what caused it."},
        "data": data,
    }
    if issubclass(event, Event):
        properties["clinicid"] = {"type": "string", "format": "uuid"}
        required.append("clinicid")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:clinicpay:schema:{schema_name}",
        "title": event.__name__,
        "description": data.pop("description", ""),
        "type": "object",
        "properties": properties,
        "required": required,
        "$defs": definitions,
    }


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of all topics."""
    operations: dict[str, Any] = {}
    for topic in ALL:
        channel = {"$ref": f"#/channels/{topic.name}"}
        operations[f"{topic.writer}.sends.{topic.name}"] = {"action": "send", "channel": channel}
        for reader in topic.readers:
            operations[f"{reader}.receives.{topic.name}"] = {"action": "receive", "channel": channel}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ClinicPay events",
            "version": VERSION,
            "description": "Every record's value is a CloudEvents 1.0 body in structured JSON.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic.name: _channel(topic) for topic in ALL},
        "operations": operations,
    }


def _channel(topic: Topic) -> dict[str, Any]:
    event = EVENTS[topic.name]
    return {
        "address": topic.name,
        "description": (event.__doc__ or "").strip(),
        "messages": {
            event.__name__: {
                "name": event.__name__,
                "payload": {
                    "schemaFormat": "application/schema+json;version=draft-2020-12",
                    "schema": {"$ref": f"schemas/{_file(topic, event)}"},
                },
            }
        },
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {"retention.ms": topic.retention_days * 86_400_000},
                "bindingVersion": "0.5.0",
            }
        },
    }


def apps() -> dict[str, Litestar]:
    """Each service's HTTP side, built as its process builds it, on settings that reach nothing."""
    from joserfc.jwk import OKPKey

    import services.gateway.app
    import services.gateway.settings
    import services.invoice.app
    import services.invoice.settings
    import services.notification.app
    import services.notification.settings
    import services.payment.app
    import services.payment.settings

    key = OKPKey.generate_key("Ed25519")
    common: dict[str, Any] = {
        "http_port": 1,
        "kafka_bootstrap_servers": "localhost:1",
        "database_url": "postgresql://nobody@localhost:1/none",
        "internal_token_public_key": json.dumps(key.as_dict(private=False)),
    }
    url = "http://localhost:1"
    payment: dict[str, Any] = {
        "stripe_secret_key": "sk_test_none",  # pragma: allowlist secret
        "stripe_webhook_secret": "whsec_none",  # pragma: allowlist secret
        **{"installation": "none", "metadata_key": "-" * 32},  # pragma: allowlist secret
    }
    notification: dict[str, Any] = {
        "smtp_url": "smtp://localhost:1",
        "mail_from": "none@example.com",
        "portal_url": url,
        "pay_link_key": "-" * 32,  # pragma: allowlist secret
    }
    gateway: dict[str, Any] = {
        **{"invoice_url": url, "payment_url": url, "notification_url": url, "public_url": url},
        "internal_token_private_key": json.dumps(key.as_dict(private=True)),
        "stripe_publishable_key": "pk_test_none",
        "login_key": "-" * 32,  # pragma: allowlist secret
        "pay_link_key": "-" * 32,  # pragma: allowlist secret
    }
    return {
        "invoice": services.invoice.app.api(services.invoice.settings.Settings(**common)),
        "payment": services.payment.app.api(services.payment.settings.Settings(**common, **payment)),
        "notification": services.notification.app.api(
            services.notification.settings.Settings(**common, **notification)
        ),
        "gateway": services.gateway.app.api(services.gateway.settings.Settings(**common, **gateway)),
    }


def files() -> Iterator[tuple[Path, str]]:
    """Every generated file with what it should hold."""
    for topic in ALL:
        event = EVENTS[topic.name]
        yield CONTRACTS / "schemas" / _file(topic, event), _json(schema_of(event))
    header = "# Generated by `python -m tests.tools.generate`.\n"
    yield CONTRACTS / "asyncapi.yaml", header + yaml.safe_dump(asyncapi(), sort_keys=False, width=110)
    for name, app in apps().items():
        yield CONTRACTS / "openapi" / f"{name}.json", _json(app.openapi_schema.to_schema())
    run.load_figures()
    measured = baseline.load()
    for name, table in (
        ("README.md", baseline.headlines(measured)),
        ("docs/performance.md", baseline.markdown(measured)),
    ):
        document = CONTRACTS.parent / name
        yield document, with_figures(document.read_text(), table)
    states = CONTRACTS.parent / "docs/money.md"
    yield states, page.filled(states.read_text())
    signals = CONTRACTS.parent / "docs/metrics.md"
    yield signals, metrics.filled(signals.read_text())
    yield from dashboards.files()


def with_figures(text: str, table: str) -> str:
    """The text with the lines between its two marks replaced by the table."""
    before, begin, rest = text.partition(FIGURES_BEGIN)
    _, end, after = rest.partition(FIGURES_END)
    if not (begin and end):
        raise ValueError("the document has no place for the measured figures")
    return before + begin + (f"\n{table}\n" if table else "\n") + end + after


def _file(topic: Topic, event: type[CloudEvent]) -> str:
    return f"{topic.name}.v{event.schema_version}.json"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def main(check: bool) -> int:
    """Write the files that are not fresh, or only name them; the exit code."""
    stale = [(path, text) for path, text in files() if not path.exists() or path.read_text() != text]
    if check:
        for path, _ in stale:
            sys.stderr.write(f"not fresh: {path.relative_to(CONTRACTS.parent)}\n")
        return 1 if stale else 0
    for path, text in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"wrote {path.relative_to(CONTRACTS.parent)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main("--check" in sys.argv[1:]))
