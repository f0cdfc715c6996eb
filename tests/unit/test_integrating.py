"""docs/integrating.md says what the API's document says: each refusal, and how long a key is kept."""

import json
import re
from datetime import timedelta

import pytest

from contracts.http.payments import PaymentOut
from contracts.http.reading import lenient
from services.chassis import retention
from tests.tools.generate import CONTRACTS, files

GUIDE = (CONTRACTS.parent / "docs/integrating.md").read_text(encoding="utf-8")
DOCUMENT = json.loads((CONTRACTS / "openapi/gateway.json").read_text(encoding="utf-8"))
CODES = sorted(
    {
        code
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        for answer in operation["responses"].values()
        for code in answer.get("x-codes", ())
    }
)


def test_each_refusal_stands_in_the_table_of_errors() -> None:
    table = GUIDE[GUIDE.index("| status | codes |") : GUIDE.index("After a timeout or a 5xx")]

    assert [code for code in CODES if f"`{code}`" not in table] == []


def test_a_key_is_kept_for_as_long_as_the_guide_says() -> None:
    [rule] = [rule for rule in retention.CHASSIS if rule.table == "idempotency_keys"]
    said = re.search(r"Keys of invoices, .* are kept for (\d+) days\.", GUIDE)

    assert said is not None
    assert timedelta(days=int(said[1])) == rule.keep


def test_the_document_is_the_same_once_the_gateway_has_read_answers() -> None:
    lenient(PaymentOut)
    made = next(text for path, text in files() if path.name == "gateway.json")

    assert json.loads(made) == DOCUMENT


@pytest.mark.parametrize(
    "name", ["RecordIn", "RefundIn", "PaymentOut", "RefundOut", "InvoiceOut", "HeldActOut"]
)
def test_the_document_explains_its_bodies(name: str) -> None:
    assert len(DOCUMENT["components"]["schemas"][name]["description"]) > 40
