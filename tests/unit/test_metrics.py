"""Metrics: bounded labels, one name each, and a page for who has the token."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient

from deploy.ops.verify import textfile
from services.chassis.http.scraping import with_metrics
from services.chassis.kafka.lag import Lag
from services.chassis.kafka.samples import LagWatch
from services.chassis.settings import OPEN
from services.chassis.telemetry import metrics
from services.chassis.telemetry.metrics import CATALOGUE, OTHER, Counter, Gauge
from tests.signals.rules import alerts, expressions, metrics_in
from tests.tools.dashboards import DASHBOARDS, PLACE
from tests.tools.metrics import shown_as

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-twenty-characters"  # pragma: allowlist secret
PERSONAL = re.compile(r"clinic|client|invoice|payment_id|email|name$|account|_id\b")
BOUNDED_ALL_THE_SAME = {"peer.service", "messaging.consumer.group.name", "messaging.destination.name"}


@pytest.fixture
def made() -> Iterator[list[str]]:
    """Names of instruments that a test makes: they leave the catalogue after it."""
    before = set(CATALOGUE)
    yield []
    for name in set(CATALOGUE) - before:
        del CATALOGUE[name]


@pytest.mark.usefixtures("made")
def test_labels_have_a_bound() -> None:
    counter = Counter("test.counted", "{x}", "", "which")
    for number in range(metrics.MOST_SETS + 5):
        counter.add(1, str(number))
    counter.add(1, "0")
    numbers = {each.attributes["which"]: each.value for each in counter.observe(None)}  # type: ignore[arg-type, index]
    assert len(numbers) == metrics.MOST_SETS + 1
    assert (numbers["0"], numbers[OTHER]) == (2, 5)


@pytest.mark.usefixtures("made")
def test_a_gauge_forgets_what_is_no_more() -> None:
    gauge = Gauge("test.shown", "{x}", "", "which")
    gauge.show({("a",): 1, ("b",): 2})
    gauge.show({("b",): 3})
    assert [(each.attributes, each.value) for each in gauge.observe(None)] == [({"which": "b"}, 3)]  # type: ignore[arg-type]


def test_no_two_instruments_have_one_name() -> None:
    with pytest.raises(ValueError, match="two instruments"):
        Counter(next(iter(CATALOGUE)), "{x}", "")


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_no_label_names_anybody(name: str) -> None:
    assert not [
        label
        for label in CATALOGUE[name].labels
        if label not in BOUNDED_ALL_THE_SAME and PERSONAL.search(label)
    ]


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_no_label_is_one_of_prometheus_own(name: str) -> None:
    """Prometheus would call it `exported_…`, and rules that ask for it would find nothing."""
    assert not {"job", "instance", "service", "role"} & set(CATALOGUE[name].labels)


@get("/other")
async def other() -> str:
    return "other"


@pytest.fixture
def page() -> Iterator[TestClient[Any]]:
    app = Litestar([other])
    app.asgi_handler = with_metrics(app.asgi_handler, TOKEN)
    with TestClient(app) as client:
        yield client


def test_the_page_is_for_who_has_the_token(page: TestClient[Any]) -> None:
    answer = page.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert "python_info" in answer.text
    assert page.get("/other").text == "other"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", f"Bearer {TOKEN}x", f"bearer {TOKEN}", f"Basic {TOKEN}", "Bearer é"]
)
def test_nobody_else_reads_it(page: TestClient[Any], header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    answer = page.get("/metrics", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_signed_in"
    assert answer.headers["www-authenticate"] == 'Bearer realm="ClinicPay"'
    assert "python_info" not in answer.text


def test_it_is_read_only(page: TestClient[Any]) -> None:
    answer = page.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_age_of_a_lag_is_that_of_its_oldest_event() -> None:
    clock = Clock()
    watch = LagWatch("nowhere", OPEN, {"invoice": ["payment.settled"]}, now=clock)

    def age_after(seconds: float, *, end: int, waiting: int) -> float:
        clock.now += seconds
        ages = watch.show([Lag("invoice", "payment.settled", 0, waiting, end)] if waiting else [])
        return ages["invoice", "payment.settled"]

    assert age_after(0, end=10, waiting=0) == 0
    assert age_after(15, end=12, waiting=2) == 0
    assert age_after(15, end=20, waiting=10) == 15
    # The first two are applied; the others were seen 15 s ago.
    assert age_after(15, end=20, waiting=8) == 15
    assert age_after(15, end=20, waiting=0) == 0
    assert age_after(15, end=21, waiting=1) == 0


def test_rules_and_dashboards_ask_for_metrics_that_there_are() -> None:
    known = {shown for name in CATALOGUE for shown in shown_as(name)} | {
        shown.replace("_bucket", suffix)
        for name in CATALOGUE
        for shown in shown_as(name)
        for suffix in ("_sum", "_count")
    }
    known |= {textfile.BREACHES, textfile.UNREAD, textfile.ENDED}
    asked = [*expressions(), *panel_expressions()]
    assert not {metric for expression in asked for metric in metrics_in(expression)} - known


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_a_panel_shows_every_metric(name: str) -> None:
    shown = {metric for expression in panel_expressions() for metric in metrics_in(expression)}
    assert shown & set(shown_as(name))


def test_every_alert_has_its_section_in_the_runbooks() -> None:
    titles = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    assert titles == list(alerts())


def panel_expressions() -> list[str]:
    found = [json.loads((PLACE / f"{name}.json").read_text()) for name in DASHBOARDS]
    return [target["expr"] for each in found for panel in each["panels"] for target in panel["targets"]]
