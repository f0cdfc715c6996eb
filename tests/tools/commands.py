"""The developers' commands: `clinicpay dev …`. Each also works without `dev`, as the README and CI write it."""

import asyncio
import json
from typing import Annotated

import typer

from deploy.ops.commands import give_up

dev = typer.Typer(help="For developers: test, measure, break, generate.", no_args_is_help=True)
PANEL = "For developers"
SHOWN = {"test", "alerts"}
"""Commands that README and docs/metrics.md name without `dev`: the help shows them so."""


def register(app: typer.Typer) -> None:
    """Add `dev`, and its commands once more by their short names. The help leaves out all but `SHOWN`."""
    app.add_typer(dev, name="dev", rich_help_panel=PANEL)
    for command in dev.registered_commands:
        assert command.callback
        hidden = command.callback.__name__ not in SHOWN
        settings = command.context_settings
        app.command(hidden=hidden, rich_help_panel=PANEL, context_settings=settings)(command.callback)


@dev.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run lint, types and all tests. Arguments go to pytest: `clinicpay test tests/unit -k money`."""
    from tests.tools.runner import run

    raise typer.Exit(run(context.args))


@dev.command()
def faults(
    quick: Annotated[bool, typer.Option("--quick", help="A spread of them, within three minutes.")] = False,
    only: Annotated[str, typer.Option(help="Those whose name holds this pattern, such as `kafka:`.")] = "",
    seconds: Annotated[int, typer.Option(min=5, help="How long processes are struck at random.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed strikes the same blows.")] = 1,
) -> None:
    """Make everything fail that can, and check that nothing was lost, doubled or leaked. Exits 1 on a breach."""
    from tests.faults import suite

    matrix = asyncio.run(suite.run(suite.Options(quick, only, seconds, seed)))
    raise typer.Exit(1 if matrix.breaches else 0)


@dev.command()
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Every figure from short windows, within 180 s.")
    ] = False,
    only: Annotated[str, typer.Option(help="These figures, separated by commas.")] = "",
    invoices: Annotated[int | None, typer.Option(min=100, help="How many one settle run pays.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the data directory, and say where.")] = False,
    save: Annotated[
        bool,
        typer.Option("--save", help="Keep the figures in docs/bench.json, which runs are compared with."),
    ] = False,
    against: Annotated[
        str, typer.Option(metavar="REF", help="Only compare the CPU of a settlement with this commit's.")
    ] = "",
) -> None:
    """Measure the running system: JSON lines on standard output, a table on standard error."""
    if against:
        from tests.bench import against as comparison

        raise typer.Exit(comparison.main(against))
    from tests.bench.run import Options, main

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    raise typer.Exit(main(Options(quick, names, invoices, keep, save=save)))


@dev.command()
def mutants(
    words: Annotated[list[str] | None, typer.Argument(help="Parts of names; without, all of them.")] = None,
) -> None:
    """Take each safeguard away in a copy of the code, and see that its named test turns red."""
    from tests.mutants.__main__ import main

    raise typer.Exit(main(words or ()))


@dev.command()
def alerts() -> None:
    """Cause real faults beside a real Prometheus: alerts fire and end, each panel has data. Six to eight minutes."""
    from tests.signals import fired

    raise typer.Exit(fired.main())


@dev.command()
def sbom() -> None:
    """Print the bill of materials, as CycloneDX: every package, jar and binary that an installation runs."""
    from tests.tools import supply

    try:
        typer.echo(json.dumps(supply.sbom(), indent=1))
    except supply.CannotAsk as reason:
        give_up(str(reason))


@dev.command()
def generate(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a file is not fresh.")
    ] = False,
) -> None:
    """Write the generated contracts and the README's figures."""
    from tests.tools import generate as generator

    raise typer.Exit(generator.main(check))
