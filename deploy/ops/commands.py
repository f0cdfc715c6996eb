"""Shared by operators' commands: how one says that it cannot go on, and the login that runs it."""

import os
import socket
import sys
from getpass import getuser
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

DOES_NOT_ANSWER = "a database does not answer, or refuses"
_OF_THE_NETWORK = (ConnectionError, TimeoutError, socket.gaierror)


def give_up(line: str) -> NoReturn:
    """One line on standard error, and exit status 1."""
    sys.stderr.write(f"clinicpay: {line}\n")
    raise typer.Exit(1)


def words_of(error: BaseException) -> str:
    """An error's first line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def login_here() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return f"uid {os.getuid()}"


class OverDatabases(TyperGroup):
    """Commands whose databases may be away, or refuse: that is said in a line, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not _is_of_a_database(error):
                raise
            give_up(f"{DOES_NOT_ANSWER}: {words_of(error)}")


def _is_of_a_database(error: Exception) -> bool:
    if isinstance(error, _OF_THE_NETWORK):
        return True
    import asyncpg  # here, since `--help` must not wait for it

    return isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError)
