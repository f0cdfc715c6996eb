"""Error codes and their HTTP statuses, service by service: clients choose by them what to do and what to show."""

import ast
import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from litestar.exceptions import HTTPException

import services
from services.chassis.errors import DomainError
from services.chassis.http import problems
from services.chassis.kafka import consume
from tests.frozen.code import calls, constant, parsed
from tests.frozen.picture import Dbs

Codes = dict[str, dict[str, set[int]]]


async def draw(_: Dbs) -> Any:
    codes: Codes = defaultdict(lambda: defaultdict(set))
    for service, code, status in (*_raised(), *_answered()):
        codes[service][code].add(status)
    found = {
        service: {code: _one_or_all(statuses) for code, statuses in of.items()}
        for service, of in codes.items()
    }
    return {**found, "http_statuses": _http_statuses(), "parked": _parked()}


def _one_or_all(statuses: set[int]) -> int | list[int]:
    return min(statuses) if len(statuses) == 1 else sorted(statuses)


def _raised() -> Iterator[tuple[str, str, int]]:
    """(service, code, status) of each refusal."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for error in _below(DomainError):
        service = error.__module__.split(".")[1]
        if error.__module__.startswith("services.") and hasattr(error, "code"):
            yield service, error.code, error.status


def _below(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


def _answered() -> Iterator[tuple[str, str, int]]:
    """(service, code, status) of each answer that is written without a refusal."""
    for file in parsed("services"):
        for call in calls(file, "problem"):
            status, code = (constant(argument) for argument in call.args[:2])
            if isinstance(status, int) and isinstance(code, str):
                yield file.package.split(".")[1], code, status


_STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503)


def _http_statuses() -> dict[str, str]:
    """The code where the framework refuses with a status alone."""
    request: Any = None
    return {
        str(status): problems.on_http_error(request, HTTPException(status_code=status)).content["code"]
        for status in _STATUSES
    }


def _parked() -> list[str]:
    """Reasons of parked events that are no refusal's code."""
    written = (call.args[2] for file in parsed("services") for call in calls(file, "Parked"))
    literal = {str(reason.value) for reason in written if isinstance(reason, ast.Constant)}
    return sorted(literal | {consume.reason_of(ValueError())})
