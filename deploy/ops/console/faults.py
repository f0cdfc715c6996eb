"""Everything that is wrong, in words: causes before their effects, each with a way forward."""

from collections.abc import Iterator
from dataclasses import dataclass

from deploy.ops.apart import apart
from deploy.ops.console.health import Health
from deploy.ops.console.jobs import WORDS, process_of
from services.payment.stripe.api import STRIPE

STRIPE_IS_OUT = (
    "Nobody is charged twice, and what waits is done once it answers. Look at Stripe's status page; the runbook "
    "“When Stripe is out” says what clients see meanwhile."
)


@dataclass(frozen=True, slots=True)
class Fault:
    """`forward`: the way on, where no page says more. `link`: the page that does."""

    words: str
    forward: str = ""
    link: str = ""


def faults_of(health: Health) -> list[Fault]:
    return [*_unreachable(health), *_parts(health), *_jobs(health), *_piles(health), *_verified(health)]


def _unreachable(health: Health) -> Iterator[Fault]:
    for each in health.services:
        if each.piles is None:
            yield Fault(f"The database of {each.name} does not answer.")
    if health.groups is None:
        yield Fault("Kafka does not answer.")
    without = [part.name for part in health.parts or () if STRIPE in part.lacks]
    if without:
        yield Fault(f"Stripe does not answer, or refuses: {', '.join(without)}.", STRIPE_IS_OUT)
    if health.parts is None:
        yield Fault("The gateway does not answer.")


def _parts(health: Health) -> Iterator[Fault]:
    """Stripe, if it is all that a part lacks, has a line of its own."""
    for part in health.parts or ():
        if part.state != "ok" and part.lacks != {STRIPE}:
            yield Fault(f"{part.name}: {part.state}.")


def _piles(health: Health) -> Iterator[Fault]:
    for each in health.services:
        for pile in each.piles or ():
            if pile.is_late:
                aged = f"the oldest for {apart(pile.age)}"
            elif pile.is_recent:
                aged = f"the newest {apart(pile.age)} ago"
            else:
                continue
            yield Fault(f"{each.name}: {pile.name}: {pile.count}, {aged}.", pile.forward, pile.link)


def _jobs(health: Health) -> Iterator[Fault]:
    """Jobs that are late where their process is known not to work follow from that."""
    down = {part.name for part in health.parts or () if part.state != "ok" and not part.lacks}
    for service, runs in health.jobs.items():
        process = process_of(service)
        for run in runs or ():
            if run.error is not None and not run.is_late:
                since = apart((run.asked_at - run.failing_since).total_seconds()) if run.failing_since else ""
                words = WORDS.get(run.name, run.name)
                yield Fault(f"{process}: a job has failed for {since}: {words}.", link="/ops/jobs")
        if (late := sum(run.is_late for run in runs or ())) and process not in down:
            have = "a job has" if late == 1 else f"{late} jobs have"
            yield Fault(f"{process}: {have} not run when due.", link="/ops/jobs")


def _verified(health: Health) -> Iterator[Fault]:
    last = health.last_verify
    if last is not None and last.breaches:
        yield Fault(f"The last verify found {last.breaches} breaches.", link="/ops/verify")
    if last is not None and last.not_checked:
        yield Fault(f"The last verify could not check {last.not_checked} of its checks.", link="/ops/verify")
