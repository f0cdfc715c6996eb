"""The commands of `clinicpay stripe`. Their work is in `stripe_setup`, which is imported when one is run."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from deploy.ops.stripe_setup.access import Given
    from deploy.ops.stripe_setup.findings import Finding

app = typer.Typer(
    help="The installation's settings at Stripe: check them, or make them.", no_args_is_help=True
)
Data = Annotated[
    Path | None,
    typer.Option(help="Of a running `clinicpay up`. Else STRIPE_SECRET_KEY, PUBLIC_URL and so on."),
]
MARKS = {"good": "good   ", "note": "note   ", "wrong": "WRONG  ", "unknown": "UNKNOWN"}


@app.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
    reach: Annotated[bool, typer.Option(help="Send a signed test event to the public address too.")] = False,
    data: Data = None,
) -> None:
    """Hold keys, endpoints, accounts and domains against what ClinicPay needs. Exits 1 if something is wrong.

    Exits 2 when something could not be asked. It reads, and changes nothing.
    """
    from deploy.ops.stripe_setup.check import check as work
    from deploy.ops.stripe_setup.findings import exit_code

    findings = asyncio.run(work(_given(data), reach_too=reach))
    for finding in findings:
        typer.echo(json.dumps(finding.as_json(), ensure_ascii=False) if as_json else _lines(finding))
    raise typer.Exit(exit_code(findings))


def _lines(finding: "Finding") -> str:
    way = f"\n        → {finding.way}" if finding.way else ""
    return f"{MARKS[finding.level]} {finding.about}: {finding.words}{way}"


@app.command()
def setup(
    yes: Annotated[
        bool, typer.Option("--yes", help="Do what the plan says; without it, only show it.")
    ] = False,
    data: Data = None,
) -> None:
    """Make or change the two webhook endpoints and the wallets' domains. Shows its plan first."""
    import stripe

    from deploy.ops.stripe_client import reason

    given = _given(data)
    if not given.secret_key or not given.public_url:
        _give_up("STRIPE_SECRET_KEY and PUBLIC_URL must be set")
    try:
        asyncio.run(_set_up(given, yes))
    except stripe.PermissionError:
        _give_up("the key may not do this: it needs write to Webhook Endpoints and Payment Method Domains")
    except stripe.StripeError as error:
        _give_up(f"{reason(error)}. What was done stays done: run it again")


async def _set_up(given: "Given", yes: bool) -> None:
    from deploy.ops.stripe_client import opened
    from deploy.ops.stripe_setup.plan import plan

    async with opened(given.secret_key, given.api_base) as client:
        steps = await plan(given, client)
        for step in steps:
            typer.echo(f"{'now: ' if yes else 'would: '}{step.words}")
            secret = await step.do(client) if yes else None
            if secret:
                typer.echo(f"  its secret, shown this once: {secret}")
                typer.echo(
                    "  put it into STRIPE_WEBHOOK_SECRET of the payment service, beside the others, by a comma"
                )
    if not steps:
        typer.echo("nothing to do: endpoints and domains are as they should be")
    elif not yes:
        typer.echo("nothing was changed. Run it again with --yes to do this")


def _given(data: Path | None) -> "Given":
    from deploy.ops.stripe_setup.access import Given
    from deploy.ops.verify.report import CannotCheck

    try:
        return Given.of_data(data) if data else Given.of_environment()
    except (CannotCheck, OSError) as why:
        _give_up(str(why))


def _give_up(why: str) -> NoReturn:
    sys.stderr.write(f"clinicpay: {why}\n")
    raise typer.Exit(2)
