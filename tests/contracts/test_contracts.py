"""The contracts: generated files are fresh, examples are read, and nothing breaks those who read the last release."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from contracts.events import topics
from contracts.events.catalogue import EVENTS, decode
from contracts.events.envelope import KNOWN_VALUES, Undecodable, event_id
from contracts.events.payment import PaymentSettled
from contracts.money import LARGEST_MINOR, Money
from contracts.vocabulary import UNKNOWN
from services.gateway.live import hub as live
from services.invoice import consumers as invoice_consumers
from services.notification import consumers as notification_consumers
from services.payment import consumers as payment_consumers
from tests.tools import generate, release

CONTRACTS = generate.CONTRACTS
EXAMPLES = sorted(CONTRACTS.glob("examples/*/*.json"))
ANY = {"title", "description", "default", "$id", "examples"}


def test_generated_files_are_fresh() -> None:
    """Mend it by `python -m tests.tools.generate`."""
    stale = [path.name for path, text in generate.files() if not path.exists() or path.read_text() != text]
    assert stale == []


def test_nothing_is_left_of_contracts_that_are_gone() -> None:
    wanted = {path for path, _ in generate.files()}
    kept = set(CONTRACTS.glob("schemas/*")) | set(CONTRACTS.glob("openapi/*"))
    assert kept <= wanted


def test_every_topic_has_an_event_and_an_example() -> None:
    assert set(EVENTS) == set(topics.BY_NAME)
    assert {path.parent.name for path in EXAMPLES} == set(topics.BY_NAME)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_fits_its_schema_and_is_decoded_as_it_was_written(path: Path) -> None:
    topic = path.parent.name
    example = json.loads(path.read_bytes())
    schema = json.loads((CONTRACTS / "schemas" / f"{topic}.v1.json").read_text())

    jsonschema_rs.validator_for(schema, validate_formats=True).validate(example)

    assert json.loads(decode(topic, path.read_bytes()).encode()) == example


def _handled(module: Any) -> set[str]:
    marked = (getattr(value, "__consumes__", None) for value in vars(module).values())
    return {event.topic.name for handler in marked if handler for event in handler.events}


@pytest.mark.parametrize(
    ("service", "listens"),
    [
        ("invoice", _handled(invoice_consumers)),
        ("payment", _handled(payment_consumers)),
        ("notification", _handled(notification_consumers)),
        ("gateway", set(live.TOPICS)),
    ],
)
def test_a_service_listens_to_what_the_registry_says_and_to_nothing_else(
    service: str, listens: set[str]
) -> None:
    assert listens == {topic.name for topic in topics.ALL if service in topic.readers}


GROWN = {
    "clinic.updated.v1": {"debit"},
    "invoice.created.v1": {"credited", "written_off"},
    "invoice.paid.v1": {"credited", "written_off"},
    "invoice.updated.v1": {"credited", "written_off"},
    "payment.settled.v1": {"credit"},
}
"""Values that are new in sets which 0.1.0 has closed. Its readers park an event with one, and apply it when they are
upgraded: docs/integrating.md says so. Any further value needs a release, or a new version."""


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("released/*.v*.json")), ids=lambda path: path.stem)
def test_a_schema_is_compatible_with_its_last_release(path: Path) -> None:
    """Within a version, optional fields are added, sets of values are opened, and open sets grow.

    Readers of the release read today's events, and today's readers read the release's events. A set that is closed in
    the release gets no new value, since its readers park it, but those of `GROWN`.
    """
    released, current = (
        json.loads(path.read_text()),
        json.loads((CONTRACTS / "schemas" / path.name).read_text()),
    )

    assert list(breaks(released, _without_grown(path.stem, current))) == []


def _without_grown(name: str, schema: Any) -> Any:
    """The schema without the values that are known to be new in sets that the release has closed."""
    if isinstance(schema, dict):
        return {
            key: [each for each in value if each not in GROWN.get(name, ())]
            if key in ("enum", KNOWN_VALUES)
            else _without_grown(name, value)
            for key, value in schema.items()
        }
    return [_without_grown(name, each) for each in schema] if isinstance(schema, list) else schema


def test_a_released_schema_is_as_the_release_command_wrote_it() -> None:
    """`python -m tests.tools.release` alone writes these files, when a release is made."""
    assert json.loads(release.HASHES.read_text()) == release.hashes()


def breaks(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Where a schema differs from its release by more than an optional field, an opened set, or prose."""
    if isinstance(old, dict) and isinstance(new, dict) and KNOWN_VALUES in new:
        known, closed = set(new[KNOWN_VALUES]), set(old.get("enum") or new[KNOWN_VALUES])
        if known != closed or not set(old.get(KNOWN_VALUES, ())) <= known:
            yield f"{at} knew {sorted(closed)}, knows {sorted(known)}"
    elif isinstance(old, dict) and isinstance(new, dict):
        open_to_more = at.endswith(("/properties", "/$defs"))
        for name in (old.keys() | new.keys()) - (ANY if not open_to_more else set()):
            if name not in new:
                yield f"{at}/{name} is gone"
            elif name in old:
                yield from breaks(old[name], new[name], f"{at}/{name}")
            elif not open_to_more:
                yield f"{at}/{name} is new"
    elif at.endswith(("/required", "/enum")):
        if sorted(map(str, old)) != sorted(map(str, new)):
            yield f"{at} was {old}, is {new}"
    elif old != new:
        yield f"{at} was {old}, is {new}"


BASE = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "b": {"enum": ["x"]},
        "o": {"type": "string", KNOWN_VALUES: ["x"]},
    },
    "required": ["a"],
}


@pytest.mark.parametrize(
    ("change", "fine"),
    [
        ({"properties": {**BASE["properties"], "c": {"type": "string"}}}, True),  # type: ignore[dict-item]
        ({"description": "said better"}, True),
        ({"properties": {**BASE["properties"], "b": {"type": "string", KNOWN_VALUES: ["x"]}}}, True),  # type: ignore[dict-item]
        ({"properties": {**BASE["properties"], "o": {"type": "string", KNOWN_VALUES: ["x", "y"]}}}, True),  # type: ignore[dict-item]
        ({"properties": {**BASE["properties"], "b": {"type": "string", KNOWN_VALUES: ["x", "y"]}}}, False),  # type: ignore[dict-item]
        ({"properties": {**BASE["properties"], "o": {"type": "string", KNOWN_VALUES: ["y"]}}}, False),  # type: ignore[dict-item]
        ({"properties": {**BASE["properties"], "o": {"enum": ["x"]}}}, False),  # type: ignore[dict-item]
        ({"properties": {"a": {"type": "integer"}}}, False),
        ({"properties": {**BASE["properties"], "a": {"type": "string"}}}, False),  # type: ignore[dict-item]
        ({"properties": {**BASE["properties"], "b": {"enum": ["x", "y"]}}}, False),  # type: ignore[dict-item]
        ({"required": ["a", "b"]}, False),
        ({"required": []}, False),
    ],
    ids=[
        "optional-added",
        "prose",
        "opened",
        "open-grew",
        "opened-and-grew",
        "open-shrank",
        "closed",
        "removed",
        "type",
        "enum",
        "new-required",
        "no-longer-required",
    ],
)
def test_the_compatibility_check_tells_a_break_from_an_addition(change: dict[str, Any], fine: bool) -> None:
    assert (list(breaks(BASE, {**BASE, **change})) == []) is fine


def test_a_newer_writers_unknown_fields_are_ignored() -> None:
    path = CONTRACTS / "examples/payment.settled/payment.json"
    example = json.loads(path.read_text())
    example["data"]["from_the_future"] = example["and_so_is_this"] = True

    assert decode("payment.settled", json.dumps(example).encode()) == decode(
        "payment.settled", path.read_bytes()
    )


OPEN_FIELDS = [
    ("clinic.updated/put-on", "methods", ["card", "crypto"], ("card", UNKNOWN)),
    ("invoice.created/issued", "status", "disputed", UNKNOWN),
]


@pytest.mark.parametrize(("name", "field", "written", "read"), OPEN_FIELDS, ids=lambda each: str(each))
def test_a_newer_writers_value_of_an_open_field_is_unknown_to_readers_and_not_written(
    name: str, field: str, written: Any, read: Any
) -> None:
    example = json.loads((CONTRACTS / f"examples/{name}.json").read_text())
    example["data"][field] = written
    topic = example["type"]

    event = decode(topic, json.dumps(example).encode())

    assert getattr(event, field) == read
    with pytest.raises(ValidationError):
        EVENTS[topic].model_validate(event.model_dump())


def test_every_set_of_values_in_an_event_is_open_but_those_that_money_and_trust_depend_on() -> None:
    closed = {
        f"{path.stem}:{at}"
        for path in CONTRACTS.glob("schemas/*.json")
        for at in _closed_sets(json.loads(path.read_text()))
    }
    assert closed == {
        "payment.settled.v1:/properties/data/properties/kind",
        *(
            f"payment.{status}.v1:/properties/data/properties/status"
            for status in ("processing", "succeeded", "failed", "canceled")
        ),
        "payment.refunded.v1:/properties/data/properties/destination",
        "stripe.event.v1:/properties/data/properties/origin/anyOf/0",
        *(f"invoice.{topic}.v1:/$defs/InvoiceDocument/properties/kind" for topic in ("credited", "voided")),
    }


def _closed_sets(schema: Any, at: str = "") -> Iterator[str]:
    if isinstance(schema, dict):
        if "enum" in schema:
            yield at
        for name, each in schema.items():
            yield from _closed_sets(each, f"{at}/{name}")
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from _closed_sets(each, f"{at}/{index}")


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"type": "payment.succeeded"},
        {"dataschema": "payment.settled/2"},
        {"subject": "another"},
        {"id": "not-a-uuid"},
        {"time": "2026-11-03T09:41:07"},
        {"clinicid": None},
        {"data": []},
        {"data": {"amount": {"minor": 12.5, "currency": "EUR"}}},
        {"data": {"amount": {"minor": "100", "currency": "EUR"}}},
        {"data": {"amount": {"minor": True, "currency": "EUR"}}},
        {"data": {"amount": {"minor": 2**63, "currency": "EUR"}}},
        {"data": {"amount": {"minor": 1, "currency": "eur"}}},
        {"data": {"kind": "gift"}},
        {"data": {"movement_id": "0192f3c4-7a10-7c3e-9b1d-2f6a4e8c0d11"}},
    ],
    ids=str,
)
def test_what_is_not_the_event_is_undecodable_and_its_values_stay_unsaid(change: dict[str, Any]) -> None:
    example = json.loads((CONTRACTS / "examples/payment.settled/payment.json").read_text())
    data = change.get("data")
    changed = {**example, **change}
    if isinstance(data, dict):
        changed["data"] = {**example["data"], **data}

    with pytest.raises(Undecodable) as refusal:
        decode("payment.settled", json.dumps(changed).encode())

    assert str(example["data"]["payment_id"]) not in str(refusal.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"movement_id": "0192f3c4-7a10-7c3e-9b1d-2f6a4e8c0d11"}, "movement_id: value_error"),
        ({"amount": {"minor": "100", "currency": "EUR"}}, "amount.minor: int_type"),
    ],
)
def test_a_breach_names_its_field(data: dict[str, Any], said: str) -> None:
    example = json.loads((CONTRACTS / "examples/payment.settled/payment.json").read_text())
    changed = {**example, "data": {**example["data"], **data}}

    with pytest.raises(Undecodable, match=f"^{re.escape(said)}$"):
        decode("payment.settled", json.dumps(changed).encode())


def test_a_breach_of_no_field_has_no_colon() -> None:
    class Ruled(PaymentSettled):
        @model_validator(mode="after")
        def _never(self) -> Self:
            raise ValueError

    with pytest.raises(Undecodable, match=r"^value_error$"):
        Ruled.decode((CONTRACTS / "examples/payment.settled/payment.json").read_bytes())


moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@given(moments, st.text(), st.integers())
def test_an_event_id_is_a_uuid7_that_its_inputs_alone_decide(at: datetime, name: str, version: int) -> None:
    made = event_id(at, name, version)

    assert made == event_id(at, name, version)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made != event_id(at, name, version + 1)


@given(moments, st.integers(1, 10**6))
def test_event_ids_are_in_order_of_time(at: datetime, millis: int) -> None:
    assert event_id(at, "a") < event_id(at + timedelta(milliseconds=millis + 1), "a")


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
def test_money_adds_up_in_minor_units(a: int, b: int) -> None:
    left, right = Money(minor=a, currency="KWD"), Money(minor=b, currency="KWD")

    assert (left + right - right) == left
    assert (left + -left).minor == 0


@pytest.mark.parametrize("minor", [1.5, "1", True, LARGEST_MINOR + 1, None])
def test_money_is_an_integer_that_every_reader_keeps(minor: Any) -> None:
    with pytest.raises(ValidationError):
        Money(minor=minor, currency="EUR")


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Money(minor=1, currency="EUR") + Money(minor=1, currency="USD")


def test_ids_of_different_names_differ_in_a_way_that_cannot_be_forged_by_joining() -> None:
    at = datetime.now(UTC)
    assert event_id(at, "ab", "c") != event_id(at, "a", "bc")
    assert isinstance(event_id(at), UUID)
