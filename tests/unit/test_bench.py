"""The benchmark's arithmetic: ratios, rates, percentiles, what is worse, and the bodies that are sent."""

import json
import os
from pathlib import Path

import pytest

from services.payment.stripe.observations import read_event
from services.payment.stripe.seal import Seal
from services.payment.stripe.webhooks import parse, verify
from tests.bench import against, baseline, figures, report, run, webhooks
from tests.bench.book import rate
from tests.bench.cpu import Usage
from tests.bench.figures import Result, Spec
from tests.bench.growth import slowdown
from tests.bench.latency import percentile
from tests.bench.seed import CLIENTS, CLINICS, Live
from tests.bench.settle import FEW, sample
from tests.tools.generate import with_figures

MORE = Spec("things_per_s", "things/s", "…", target=1_000, limit="most_per_s", least_ratio=0.75)
LESS = Spec("thing_ms", "ms", "…", "less", target=25)


def a_result(spec: Spec = MORE, value: float = 1_200, limit: float | None = 1_500) -> Result:
    return Result(spec, value, limit, quick=False)


def test_a_figure_is_put_beside_its_limit() -> None:
    line = json.loads(report.line(a_result()))

    assert line["figure"] == "things_per_s"
    assert (line["value"], line["limit"], line["ratio"], line["met"]) == (1_200, 1_500, 0.8, True)


@pytest.mark.parametrize(
    ("result", "met"),
    [
        (a_result(value=1_200), True),
        (a_result(value=999, limit=1_000), False),
        (a_result(value=1_200, limit=2_000), False),
        (a_result(LESS, 25, None), True),
        (a_result(LESS, 25.1, None), False),
    ],
)
def test_a_target_is_met_when_value_and_ratio_are(result: Result, met: bool) -> None:
    assert result.met is met


def test_a_rate_leaves_out_what_was_done_before_the_first_commit() -> None:
    assert rate([(10.0, 500), (10.5, 300), (11.0, 200)]) == 500


def test_one_commit_is_no_rate() -> None:
    with pytest.raises(ValueError, match="too little"):
        rate([(10.0, 500)])


def test_percentiles_are_values_that_were_measured() -> None:
    ordered = [float(n) for n in range(1, 201)]

    assert [percentile(ordered, p) for p in (50, 99, 100)] == [100, 198, 200]
    assert percentile([7.0], 99) == 7


def test_growth_is_how_much_worse_it_becomes() -> None:
    assert slowdown(MORE, [1_000, 900, 800]) == 1.25
    assert slowdown(LESS, [20, 22, 30]) == 1.5


def test_a_ratio_that_fell_by_more_than_a_fifth_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    less = Spec("thing_ms", "ms", "…", "less", limit="least_ms")
    figures.SPECS.update({"things_per_s": MORE, "thing_ms": less})
    try:
        baseline.save([a_result(value=1_000, limit=1_000), a_result(less, 10, 1)], file)
    finally:
        del figures.SPECS["things_per_s"], figures.SPECS["thing_ms"]
    held = baseline.load(file)

    # Half as fast on a machine that is half as fast is the same.
    assert baseline.warnings([a_result(value=500, limit=500), a_result(less, 20, 2)], held) == []
    assert baseline.warnings([a_result(value=810, limit=1_000), a_result(less, 12.4, 1)], held) == []
    slower = baseline.warnings([a_result(value=790, limit=1_000), a_result(less, 12.6, 1)], held)
    assert ["things_per_s is 21% worse" in slower[0], "thing_ms is 21% worse" in slower[1]] == [True, True]


def test_the_documents_show_the_kept_run(tmp_path: Path) -> None:
    run.load_figures()
    spec = figures.SPECS["settle_per_s"]
    baseline.save([Result(spec, 1_234.5, 1_500, quick=False)], tmp_path / "bench.json")
    table = baseline.markdown(baseline.load(tmp_path / "bench.json"))

    text = with_figures("a\n<!-- figures -->\nold\n<!-- /figures -->\nb\n", table)

    assert (
        f"| `settle_per_s` | {spec.what} | 1,234 invoices/s | ≥ 1,000, ratio ≥ 0.75 | 1,500 | 0.823 |" in text
    )
    assert "queued receipts | 1,234 invoices/s |" in baseline.headlines(
        baseline.load(tmp_path / "bench.json")
    )
    assert "old" not in text
    assert text.startswith("a\n<!-- figures -->\n")
    assert text.endswith("\n<!-- /figures -->\nb\n")


def test_figures_bring_their_limits_with_them_and_come_after_them() -> None:
    run.load_figures()

    chosen = [name for each in figures.chosen(["settle_per_s"]) for name in each.gives]

    assert chosen.index("one_row_commits_per_s") < chosen.index("settle_per_s")
    assert "lone_ms_p99" not in chosen
    with pytest.raises(ValueError, match="no such figure: speed"):
        figures.chosen(["speed"])


def test_every_limit_is_a_figure_and_every_figure_is_measured() -> None:
    run.load_figures()
    measured = [name for each in figures.MEASUREMENTS for name in each.gives]

    assert sorted(measured) == sorted(figures.SPECS)
    assert {spec.limit for spec in figures.SPECS.values() if spec.limit} <= set(measured)


def test_the_sample_that_is_asked_about_holds_the_last_and_is_small() -> None:
    few = sample(range(101, 50_101))

    assert few[-1] == 50_100
    assert few[0] == 101
    assert len(few) <= 2 * FEW
    assert sample(range(1, 4)) == [1, 2, 3]


def test_cpu_of_an_own_process_is_counted() -> None:
    before = Usage.now({"this": os.getpid()})
    sum(n * n for n in range(2_000_000))
    used = Usage.now({"this": os.getpid()}).since(before)

    assert 0.01 < used.of(["this", "another"]) < 60


async def test_a_webhook_is_about_its_own_payment_and_signed() -> None:
    seal = Seal("bench", (b"k" * 32,))
    template = await webhooks.template(seal)
    live = Live(7 + CLIENTS)
    (request,) = webhooks.requests([live], template, "whsec_x")
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])

    verify(body, headers["Stripe-Signature"], ["whsec_x"])
    event = read_event(parse(body), seal)

    assert event.origin == "ours"
    assert int(headers["Content-Length"]) == len(body)
    assert (event.payment_id, event.clinic, event.payment_intent) == (
        live.payment_id,
        live.clinic_id,
        live.intent_id,
    )
    assert event.event_type == "payment_intent.succeeded"
    assert (event.amount, event.amount_received, event.currency) == (12_500, 12_500, "EUR")
    assert event.id == read_event(parse(template.about(live))).id
    assert event.id != read_event(parse(template.about(Live(8)))).id


def test_seeded_clients_are_of_one_clinic_each() -> None:
    assert CLIENTS % CLINICS == 0
    assert Live(7).client_id == Live(7 + CLIENTS).client_id
    assert Live(7).clinic_id == Live(7 + CLIENTS).clinic_id
    assert Live(7).invoice_id != Live(7 + CLIENTS).invoice_id


def test_a_comparison_is_fine_within_five_percent_or_within_chance() -> None:
    steady = against.verdict([1.04] * 10)
    assert (steady.ratio, steady.low, steady.high, steady.fine) == (1.04, 1.04, 1.04, True)
    assert not against.verdict([1.06] * 10).fine
    assert against.verdict([0.9, 0.95, *[1.08] * 8]).fine, "two of ten were cheaper: that may be chance"
    assert not against.verdict([0.9, *[1.08] * 9]).fine


@pytest.mark.parametrize(("count", "outside"), [(3, 0), (5, 0), (6, 0), (9, 1), (10, 1), (12, 2), (20, 5)])
def test_the_interval_leaves_out_what_the_sign_test_lets_it(count: int, outside: int) -> None:
    found = against.verdict([float(number) for number in range(count)])
    assert (found.low, found.high) == (outside, count - 1 - outside)


def test_a_commit_that_git_does_not_know_cannot_be_compared_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert against.main("no-such-commit") == 1
    assert "git knows no commit" in capsys.readouterr().err
