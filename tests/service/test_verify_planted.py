"""Each kind of difference is named by its own check and by no other, with clinic, ids and amounts."""

import re

import pytest

from deploy.ops.verify import stripe_checks, stripe_reservations
from deploy.ops.verify.run import verify
from tests.running.installation import Installation
from tests.running.system import ROOT
from tests.service.verify_planted import PLANTED


@pytest.mark.parametrize("check", PLANTED)
async def test_a_planted_difference_has_its_own_name(installation: Installation, check: str) -> None:
    expected = await PLANTED[check](installation)

    report = await verify(installation.access, wait=0)

    [breach] = report.breaches
    assert breach.check == check, str(report)
    assert expected.items() <= breach.row.items(), breach.words


def test_each_difference_to_stripe_is_explained_to_operators() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert stripe_checks.SAYS.keys() <= named


def test_each_difference_to_stripe_is_planted() -> None:
    assert stripe_checks.SAYS.keys() - stripe_reservations.SAYS.keys() <= PLANTED.keys()
