"""Whether figures stay what they are when the databases grow."""

from collections.abc import Mapping, Sequence

from tests.bench.figures import MEASUREMENTS, SPECS, Measurement, Result, Spec, declare, measures
from tests.bench.installation import Bench
from tests.bench.seed import add_history
from tests.bench.settle import HISTORY

SIZES = (HISTORY, 100_000, 1_000_000)
QUICK_SIZES = (HISTORY, 50_000)
QUICKLY = ("settle_per_s",)
QUICK_INVOICES = 3_000

declare(
    Spec("growth", "×", "how much worse the worst of the figures gets, last size ÷ first", "less", 1.2),
)


@measures("growth")
async def growth(bench: Bench) -> None:
    """Measure again what is marked as growing, at each size of the history."""
    sizes = QUICK_SIZES if bench.quick else SIZES
    found: list[Mapping[str, Result]] = []
    for size in sizes:
        await add_history(bench, size)
        found.append(await _again(bench))
    values = {name: [each[name].value for each in found] for name in found[0]}
    slower = {name: slowdown(SPECS[name], values[name]) for name in values}
    worst = max(slower, key=lambda name: slower[name])
    detail = {"invoices": list(sizes), "worst": worst} | {
        name: [float(f"{value:.4g}") for value in values[name]] for name in values
    }
    bench.found("growth", slower[worst], detail=detail)


def _growing(bench: Bench) -> list[Measurement]:
    return [
        each for each in MEASUREMENTS if each.grows and (not bench.quick or set(each.gives) & set(QUICKLY))
    ]


def slowdown(spec: Spec, values: Sequence[float]) -> float:
    """How many times worse the last value is than the first; below 1 it is better."""
    first, last = values[0], values[-1]
    return first / last if spec.better == "more" else last / first


async def _again(bench: Bench) -> Mapping[str, Result]:
    with bench.aside(QUICK_INVOICES if bench.quick else bench.invoices) as found:
        for each in _growing(bench):
            await each.work(bench)
    return found
