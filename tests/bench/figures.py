"""The figures: name, unit and target of each, and the registry that figure modules add themselves to.

A module registers a function that measures one or several figures on a running system:

    @measures("relay_ms_p50", "relay_per_s")
    async def relay(bench: Bench) -> None:
        bench.found("relay_per_s", 21_000.0)
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from tests.bench.installation import Bench

Work: TypeAlias = "Callable[[Bench], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class Spec:
    """A figure as the table shows it.

    target      what it should reach: at least when `better` is more, at most when it is less
    limit       name of the physical limit that it is put beside
    least_ratio what value ÷ limit should reach
    """

    name: str
    unit: str
    what: str
    better: Literal["more", "less"] = "more"
    target: float | None = None
    limit: str | None = None
    least_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A measured figure. `detail` holds what else was seen while measuring it."""

    spec: Spec
    value: float
    limit: float | None
    quick: bool
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Value ÷ limit."""
        return self.value / self.limit if self.limit else None

    @property
    def met(self) -> bool:
        """Whether every target of the figure is met. A figure without one always is."""
        spec = self.spec
        if spec.target is not None and (
            self.value < spec.target if spec.better == "more" else self.value > spec.target
        ):
            return False
        return spec.least_ratio is None or self.ratio is None or self.ratio >= spec.least_ratio


@dataclass(frozen=True, slots=True)
class Measurement:
    """Work that measures these figures together."""

    gives: tuple[str, ...]
    work: Work
    grows: bool = False
    """Measured again at each size of the databases, for `growth`."""
    asked: bool = False
    """Measured only when it is asked for by name."""


SPECS: dict[str, Spec] = {}
MEASUREMENTS: list[Measurement] = []


def declare(*specs: Spec) -> None:
    for spec in specs:
        if spec.name in SPECS:
            raise ValueError(f"{spec.name} is declared already")
        SPECS[spec.name] = spec


def measures(*gives: str, grows: bool = False, asked: bool = False) -> Callable[[Work], Work]:
    """Register the work that measures these declared figures. They are measured in the order of registration."""
    if unknown := [name for name in gives if name not in SPECS]:
        raise ValueError(f"not declared: {', '.join(unknown)}")

    def register(work: Work) -> Work:
        MEASUREMENTS.append(Measurement(gives, work, grows, asked))
        return work

    return register


def chosen(only: Iterable[str]) -> list[Measurement]:
    """The measurements that give any of these figures, and before them their limits; all of them for none.

    ValueError for an unknown name.
    """
    wanted = set(only)
    if unknown := wanted - SPECS.keys():
        raise ValueError(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(SPECS)}")
    wanted |= {limit for name in wanted if (limit := SPECS[name].limit)}
    if not wanted:
        return [each for each in MEASUREMENTS if not each.asked]
    return [each for each in MEASUREMENTS if wanted & set(each.gives)]
