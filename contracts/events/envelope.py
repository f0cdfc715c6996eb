"""The envelope of every event: CloudEvents 1.0, structured JSON. The body alone is the whole event."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreSchema, core_schema, from_json, to_json

from contracts.events.topics import Topic
from contracts.vocabulary import UNKNOWN

T = TypeVar("T")

_ENVELOPE = {"id", "time", "clinic_id", "traceparent"}
_READING: Final = "reading"


class Undecodable(ValueError):
    """A record that is not an event of its topic. The text names fields, never their values."""


class _Open:
    """A set of texts that may grow: a reader decodes an unknown one as `unknown`; a writer writes only known ones."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(_known_or_unknown, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", KNOWN_VALUES: handler(schema)["enum"]}


KNOWN_VALUES: Final = "x-known-values"
"""In a JSON Schema: the values that writers of this release write. A reader must accept others."""
Open = Annotated[T, _Open()]


def _known_or_unknown(value: object, known: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    try:
        return known(value)
    except ValidationError:
        if isinstance(value, str) and info.context == _READING:
            return UNKNOWN
        raise


def event_id(at: datetime, *parts: object) -> UUID:
    """An id with UUIDv7's layout, made from a time and a name: the same inputs give the same id for ever.

    So a rebuilt topic has the ids that it had, and a webhook sent twice is one event.
    """
    name = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    millis = int(at.timestamp() * 1000) & (2**48 - 1)
    rand = int.from_bytes(name[:10], "big")
    value = (millis << 80) | (0x7 << 76) | ((rand >> 62 & 0xFFF) << 64) | (0b10 << 62) | (rand & (2**62 - 1))
    return UUID(int=value)


class CloudEvent(BaseModel):
    """The envelope's fields, which every event has. A subclass's own fields are the envelope's `data`.

    `time` is when it happened, in UTC. `traceparent` is the W3C trace context of what caused it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    topic: ClassVar[Topic]
    schema_version: ClassVar[int] = 1

    id: UUID
    time: AwareDatetime
    traceparent: str | None = None

    @property
    def key(self) -> UUID | str:
        """The record's key: the aggregate's id. Events of one key keep their order within a topic."""
        raise NotImplementedError

    @property
    def schema_name(self) -> str:
        return f"{self.topic.name}/{self.schema_version}"

    def encode(self, traceparent: str | None = None) -> bytes:
        """The record's value: UTF-8 JSON. A `traceparent` given here replaces the event's own."""
        traceparent = traceparent or self.traceparent
        body: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"clinicpay/{self.topic.writer}",
            "type": self.topic.name,
            "subject": str(self.key),
            "time": self.time.astimezone(UTC),
            "datacontenttype": "application/json",
            "dataschema": self.schema_name,
        }
        if isinstance(self, Event):
            body["clinicid"] = self.clinic_id
        if traceparent is not None:
            body["traceparent"] = traceparent
        body["data"] = self.model_dump(exclude=_ENVELOPE)
        return to_json(body)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a record of this event's topic.

        A newer writer's fields are ignored, and its new values of an open field are read as `unknown`.

        Raises `Undecodable`.
        """
        body = _json_object(raw)
        if body.get("specversion") != "1.0" or body.get("type") != cls.topic.name:
            raise Undecodable(f"not a CloudEvents 1.0 body of type {cls.topic.name}")
        if body.get("dataschema") != f"{cls.topic.name}/{cls.schema_version}":
            raise Undecodable(f"not schema {cls.topic.name}/{cls.schema_version}")
        data = body.get("data")
        if not isinstance(data, dict):
            raise Undecodable("data is not an object")
        try:
            event = cls.model_validate(
                {
                    **data,
                    "id": body.get("id"),
                    "time": body.get("time"),
                    "clinic_id": body.get("clinicid"),
                    "traceparent": body.get("traceparent"),
                },
                context=_READING,
            )
        except ValidationError as error:
            raise Undecodable(_wrong_fields(error)) from None
        if body.get("subject") != str(event.key):
            raise Undecodable("subject is not the aggregate's id")
        return event


class Event(CloudEvent):
    """An event of one clinic, keyed by the id that `key_field` holds."""

    key_field: ClassVar[str]

    clinic_id: UUID

    @property
    def key(self) -> UUID:
        key: UUID = getattr(self, self.key_field)
        return key

    @classmethod
    def named_by(cls, key: bytes | None, raw: bytes) -> tuple[UUID, UUID] | None:
        """The (clinic, aggregate) of a record, also when a newer program wrote it and it cannot be decoded.

        None for a record that is no event of ours: the record's key, the subject and the data must all name
        one aggregate. Never raises.
        """
        try:
            body = from_json(raw)
            ours = body["specversion"] == "1.0" and body["type"] == cls.topic.name
            clinic, aggregate = body["clinicid"], body["subject"]
            inner = {**body["data"], "clinic_id": clinic}.get(cls.key_field, aggregate)
            named = UUID(clinic), UUID(aggregate)
        except (ValueError, LookupError, TypeError, AttributeError):
            return None
        agreed = [str(each) for each in named] == [clinic, aggregate] and inner == aggregate
        return named if ours and agreed and key == aggregate.encode() else None


class StateEvent(Event):
    """The aggregate's whole public state at `version`; exactly one event per version, from 1."""

    version: int = Field(strict=True, ge=1, lt=2**31)


def _json_object(raw: bytes) -> dict[str, Any]:
    if b"\\u0000" in raw:
        raise Undecodable("a NUL character, which no database text can hold")
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise Undecodable("not JSON") from None
    if not isinstance(body, dict):
        raise Undecodable("not a JSON object")
    return body


def _wrong_fields(error: ValidationError) -> str:
    # A rule between fields names none.
    wrong = (".".join(str(part) for part in item["loc"]) for item in error.errors())
    kinds = (item["type"] for item in error.errors())
    return "; ".join(f"{field}: {kind}" if field else kind for field, kind in zip(wrong, kinds, strict=True))


class Method(BaseModel):
    """How money was paid, as far as it may be shown: never a whole card number, never the holder's name."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    kind: str = Field(pattern=r"^[a-z0-9_]{2,40}$")
    """Stripe's payment method type: `card`, `paypal`, `sepa_debit`, …"""
    brand: str | None = Field(default=None, pattern=r"^[a-z0-9_]{2,40}$")
    last4: str | None = Field(default=None, pattern=r"^[0-9]{4}$")
