"""`clinicpay waits`: what waits is shown part by part, and a part that is away hides none of the others."""

import json
from typing import Any

import pytest

from deploy.ops.waits import Waits, show
from services.invoice import consumers
from tests.builders.events import deliver
from tests.builders.payments import a_settlement
from tests.builders.values import money
from tests.running.commands import command
from tests.running.installation import Installation

AWAY = "postgresql://nobody@127.0.0.1:1/none"


async def waits(
    installation: Installation, **changes: str
) -> tuple[int, dict[tuple[str, str, str], Any], str]:
    """Exit code, the lines by part, place and kind, and standard error."""
    urls = {**installation.access.databases, **changes}
    done = await command(
        "waits", "--json", AUDITOR_DATABASE_URLS=",".join(f"{each}={url}" for each, url in urls.items())
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.exit_code, {(line["part"], line["place"], line["kind"]): line for line in lines}, done.stderr


async def test_each_kind_of_work_that_waits_is_shown(installation: Installation) -> None:
    invoice = await installation.open_invoice(12_500)
    await installation.world.issue(100)
    wrong = a_settlement(installation.world.clinic_id, invoice, money(100, "USD"))
    await deliver(installation.dbs["invoice"].worker, consumers, wrong)

    code, found, refused = await waits(installation)

    assert found["invoice", "outbox", "invoice.created"]["number"] == 1
    assert found["invoice", "parked", "wrong_currency"]["number"] == 1
    assert found["notification", "queue", "email.invoice_ready"]["number"] == 1
    assert all(line["seconds"] >= 0 for line in found.values())
    assert (code, refused) == (2, "clinicpay: not read: Kafka: KAFKA_BOOTSTRAP_SERVERS is not given\n")


async def test_a_database_that_is_away_hides_none_of_the_others(installation: Installation) -> None:
    await installation.world.issue(100)

    code, found, refused = await waits(installation, payment=AWAY)

    assert ("invoice", "outbox", "invoice.created") in found
    assert code == 2 and "not read: the database of payment: " in refused


async def test_no_name_is_cut_on_a_narrow_screen(installation: Installation) -> None:
    await installation.world.issue(100)
    urls = ",".join(f"{each}={url}" for each, url in installation.access.databases.items())

    done = await command("waits", COLUMNS="60", AUDITOR_DATABASE_URLS=urls)

    assert "…" not in done.stdout and "invoice" in done.stdout


@pytest.mark.parametrize(
    ("part", "place", "whom"),
    [
        ("payment-stripe", "kafka", "payment's worker"),
        ("notification", "queue", "notification's worker"),
        ("invoice", "outbox", "the relay"),
    ],
)
def test_the_process_that_is_waited_for_has_its_name(part: str, place: str, whom: str) -> None:
    """A consumer group's name is not that of a process."""
    assert Waits(part, place, "x", 1, None).whom == whom


@pytest.mark.parametrize(
    ("whole", "words"), [(True, "Nothing waits.\n"), (False, "Nothing waits in what was read.\n")]
)
def test_nothing_waits_where_all_was_read(
    whole: bool, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show([], whole=whole)

    assert capsys.readouterr().out == words


def test_hours_are_no_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    show([Waits("invoice", "outbox", "invoice.created", 1, 7_200.0)], whole=True)

    assert "2 h" in capsys.readouterr().out
