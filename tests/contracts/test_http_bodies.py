"""The HTTP bodies: requests are read strictly, answers leniently at every level, also answers of the last release."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from litestar import Litestar

from contracts import http
from contracts.http.accounts import AccountOut
from contracts.http.clients import ClientOut
from contracts.http.clinics import ClinicOut
from contracts.http.common import Answer, Money, Page, Request
from contracts.http.contacts import ContactOut, DeliveryOut, MailChoicesOut, ReceiptOut
from contracts.http.credit import CreditOut, RefundsOut
from contracts.http.disputes import DisputeOut, EvidenceOut, EvidencePreview
from contracts.http.documents import ReplacedOut
from contracts.http.exceptions import ExceptionOut
from contracts.http.held import HeldActOut, HeldActsOut
from contracts.http.invoices import InvoiceOut, InvoiceRow, InvoicesOut, PayLinkOut, Summary
from contracts.http.letters import LetterOut
from contracts.http.methods import NicknameOut, SavedMethodOut, SetupStart
from contracts.http.outside import ClosingOut
from contracts.http.payments import OnItsWay, PaymentOut, PaymentStart
from contracts.http.reading import lenient
from contracts.vocabulary import UNKNOWN
from tests.tools import generate

EXAMPLES = generate.CONTRACTS / "examples/http"
ANSWERS: dict[str, Any] = {
    "invoice/clinic": ClinicOut,
    "invoice/clinics": Page[ClinicOut],
    "invoice/client": ClientOut,
    "invoice/clients": Page[ClientOut],
    "invoice/invoice": InvoiceOut,
    "invoice/invoice-paid": InvoiceOut,
    "invoice/invoice-discounted": InvoiceOut,
    "invoice/corrected": ReplacedOut,
    "invoice/held-acts": Page[HeldActOut],
    "invoice/invoices": Page[InvoiceRow],
    "invoice/issued": InvoicesOut,
    "invoice/pay-link": PayLinkOut,
    "invoice/summary": Summary,
    "payment/account": AccountOut,
    "payment/balances": list[Money],
    "payment/account-cannot-charge": AccountOut,
    "payment/cash-closings": Page[ClosingOut],
    "payment/credit": CreditOut,
    "payment/exceptions": Page[ExceptionOut],
    "payment/held-refunds": HeldActsOut,
    "payment/disputes": Page[DisputeOut],
    "payment/evidence": EvidenceOut,
    "payment/evidence-preview": EvidencePreview,
    "payment/payment": PaymentOut,
    "payment/payment-failed": PaymentOut,
    "payment/payments": Page[PaymentOut],
    "payment/on-its-way": list[OnItsWay],
    "payment/refunds": RefundsOut,
    "payment/saved-methods": Page[SavedMethodOut],
    "payment/nickname": NicknameOut,
    "payment/setup": SetupStart,
    "payment/start": PaymentStart,
    "notification/contact": ContactOut,
    "notification/deliveries": Page[DeliveryOut],
    "notification/contact-undeliverable": ContactOut,
    "notification/receipt": ReceiptOut,
    "notification/chosen-mail": MailChoicesOut,
    "notification/letter": LetterOut,
}
"""Answers of the last release, by the type that reads them.

Recorded from running services: clinic, client, invoice, contact, account, and the pages of clinics, clients and
invoices. Written by hand on the same ids: the others.
"""

Place = tuple[str | int, ...]
FUTURE = "a_value_of_tomorrow"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_bytes())


def read(name: str, body: Any) -> Any:
    return msgspec.json.decode(json.dumps(body).encode(), type=lenient(ANSWERS[name]))


@pytest.mark.parametrize("name", ANSWERS)
def test_the_last_releases_answer_is_read_whole(name: str) -> None:
    body = example(name)

    assert holds(msgspec.to_builtins(read(name, body)), body)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_newer_services_field_is_ignored_at_every_level(name: str) -> None:
    body = example(name)
    places = [place for place, kind in leaves(ANSWERS[name], body) if is_struct(kind)]
    assert places

    for place in places:
        grown = changed(body, (*place, "from_the_future"), {"so": "new"})
        assert read(name, grown) == read(name, body), place


@pytest.mark.parametrize("name", ANSWERS)
def test_a_newer_services_value_is_unknown_wherever_there_is_a_set_of_values(name: str) -> None:
    body = example(name)

    for place, kind in leaves(ANSWERS[name], body):
        if get_origin(kind) is Literal:
            answer = msgspec.to_builtins(read(name, changed(body, place, FUTURE)))
            assert at(answer, place) == UNKNOWN, place


def test_every_body_that_the_services_answer_with_has_an_example_with_each_of_its_types() -> None:
    kinds = {kind for name in ANSWERS for _, kind in leaves(ANSWERS[name], example(name)) if is_struct(kind)}
    shown = {base for kind in kinds for base in (get_origin(kind) or kind).__mro__}

    assert defined(Answer) - shown == set()


def test_every_set_of_values_of_an_answer_is_in_an_example() -> None:
    shown = {kind for name in ANSWERS for _, kind in leaves(ANSWERS[name], example(name))}
    missing = {
        f"{kind.__name__}.{field.name}"
        for kind in defined(Answer)
        for field in msgspec.structs.fields(kind)
        for part in parts(field.type)
        if get_origin(part) is Literal and part not in shown
    }
    assert missing == set()


@pytest.mark.parametrize("service", ["invoice", "payment", "notification"])
def test_a_service_reads_and_answers_with_the_one_definition(service: str) -> None:
    bodies = bodies_of(generate.apps()[service])

    assert {kind.__module__.rpartition(".")[0] for kind in bodies} == {"contracts.http"}


def test_a_request_refuses_an_unknown_field_at_every_level() -> None:
    requests = {kind for root in defined(Request) for kind in structs_in(root)}

    assert len(requests) > 10
    for kind in requests:
        assert kind.__struct_config__.forbid_unknown_fields, kind
        with pytest.raises(msgspec.ValidationError, match="unknown field `from_the_future`"):
            msgspec.json.decode(tagged(kind, {"from_the_future": 1}), type=kind)


@pytest.mark.parametrize("body", [Money, InvoiceOut, Page[ClinicOut]], ids=str)
def test_a_lenient_reading_is_derived_once_and_keeps_order_and_equality(body: Any) -> None:
    assert lenient(body) is lenient(body)
    reading: Any = lenient(body)
    assert reading.__struct_fields__ == (get_origin(body) or body).__struct_fields__

    amount = msgspec.json.decode(b'{"minor": 1, "currency": "EUR", "so": "new"}', type=lenient(Money))
    assert amount == Money(1, "EUR")
    assert Money(1, "EUR") == amount
    assert amount != Money(2, "EUR")


# Walking types and examples side by side


def defined(base: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    """The subclasses of `base` that contracts.http defines, without subclasses from elsewhere."""
    modules = [
        importlib.import_module(f"contracts.http.{each.name}") for each in pkgutil.iter_modules(http.__path__)
    ]
    found = {value for module in modules for value in vars(module).values() if is_struct(value)}
    return {kind for kind in found if issubclass(kind, base) and kind is not base}


def leaves(kind: Any, value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Each struct and each set of values in the example, with its path."""
    if value is None:
        return
    kind = next(part for part in options(kind) if part is not type(None))
    if is_struct(kind):
        yield place, kind
        for field in msgspec.structs.fields(kind):
            yield from leaves(field.type, value.get(field.encode_name), (*place, field.encode_name))
    elif get_origin(kind) is Literal:
        yield place, kind
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(get_args(kind)[0], each, (*place, index))


def options(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself; without its limits."""
    if hasattr(kind, "__metadata__"):
        return options(kind.__origin__)
    if get_origin(kind) in (Literal, list, tuple) or is_struct(kind) or not get_args(kind):
        return (kind,)
    return get_args(kind)


def parts(kind: Any) -> Iterator[Any]:
    yield kind
    if get_origin(kind) is not Literal:
        for each in get_args(kind):
            yield from parts(each)


def structs_in(kind: Any) -> Iterator[Any]:
    """The struct, and each struct in its fields, at any depth."""
    for part in parts(kind):
        if is_struct(part):
            yield part
            for field in msgspec.structs.fields(part):
                yield from structs_in(field.type)


def is_struct(kind: Any) -> bool:
    kind = get_origin(kind) or kind
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def at(body: Any, place: Place) -> Any:
    for step in place:
        body = body[step]
    return body


def changed(body: Any, place: Place, value: Any) -> Any:
    copy = json.loads(json.dumps(body))
    at(copy, place[:-1])[place[-1]] = value
    return copy


def tagged(kind: Any, body: dict[str, Any]) -> bytes:
    config = kind.__struct_config__
    return json.dumps({config.tag_field: config.tag, **body} if config.tag_field else body).encode()


def bodies_of(app: Litestar) -> set[Any]:
    """Every struct in the bodies of the service's own routes."""
    return {
        get_origin(part) or part
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if not handler.opt.get("public")
        for field in (handler.parsed_data_field, handler.parsed_return_field)
        if field is not None
        for part in structs_in(field.annotation)
    }


def holds(answer: Any, body: Any) -> bool:
    """Whether the answer has all fields of the body; it may have later fields too."""
    if isinstance(body, dict):
        return all(name in answer and holds(answer[name], each) for name, each in body.items())
    if isinstance(body, list):
        return len(answer) == len(body) and all(map(holds, answer, body))
    return bool(answer == body)


async def test_the_public_document_lists_unknown_in_every_set_of_a_service_and_in_no_request() -> None:
    app = generate.apps()["gateway"]
    document = app.openapi_schema.to_schema()
    operations = [each for path in document["paths"].values() for each in path.values()]
    requests = json.dumps([{**each, "responses": None} for each in operations])
    schemas = {name: json.dumps(schema) for name, schema in document["components"]["schemas"].items()}
    listing = {name for name, schema in schemas.items() if f'"{UNKNOWN}"' in schema}

    assert listing == {
        *("AccountOut", "ClinicAnswer", "ClinicOut", "InvoiceItem", "InvoiceOut", "InvoiceRow"),
        *("DocumentOut", "EInvoice", "HeldActOut", "InvoiceAfter", "PlannedDocument", "PlannedRefund"),
        *("DisputeOut", "EvidenceOut", "InvoiceTax", "LineTax", "MovementOut", "PaymentOut", "RefundOut"),
    }
    assert f'"{UNKNOWN}"' not in requests
    assert [name for name in listing if f'schemas/{name}"' in requests] == []
    assert app.openapi_schema.to_schema() == document


def test_a_sum_above_the_largest_amount_is_read_and_not_asked_for() -> None:
    total = b'{"minor": 1200000000000000, "currency": "EUR"}'

    assert msgspec.json.decode(total, type=lenient(Money)) == Money(1_200_000_000_000_000, "EUR")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(total, type=Money)
