"""`clinicpay up` without a terminal says of each part when it starts and when it is ready, once each."""

from io import StringIO

from rich.console import Console

from deploy.local.screen import Screen
from deploy.local.supervisor import Status


async def test_a_part_is_said_to_start_and_to_be_ready_once_each() -> None:
    said = StringIO()
    screen = Screen(Console(file=said, width=80))
    kafka, fast = Status("kafka", seconds=2.5), Status("postgres", seconds=1)

    for states in (("starting", "waiting"), ("ready", "ready"), ("ready", "died"), ("starting", "ready")):
        kafka.state, fast.state = states
        screen.say_changes({"kafka": kafka, "postgres": fast})

    assert said.getvalue().splitlines() == [
        "kafka: starting",
        "kafka: ready (2.5 s)",
        "postgres: ready (1.0 s)",
    ]
