"""A process that only works in the background, such as the relay, and answers for its health."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar

from services.chassis.http.health import Check, health_routes

log = structlog.get_logger()

Work = Callable[[], Coroutine[Any, Any, None]]


def background_app(work: Work, failure: str, checks: Mapping[str, Check]) -> Litestar:
    """The process's app: it does `work`, which goes on for ever, in its lifespan.

    failure     what is logged when the work raises; the process then ends at once, with exit code 1
    checks      what has to answer for the process to be ready, by name
    """

    @asynccontextmanager
    async def working(_: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(_until_it_raises(work, failure))
        try:
            yield
        finally:
            task.cancel()

    return Litestar(
        route_handlers=health_routes(checks, {}),
        lifespan=[working],
        openapi_config=None,
        logging_config=None,
    )


async def _until_it_raises(work: Work, failure: str) -> None:
    try:
        await work()
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        log.error(failure, exc_info=_innermost(error))
        # Not sys.exit: stopping a producer that cannot reach Kafka may hang, and nothing here needs tidying.
        os._exit(1)


def _innermost(error: BaseException) -> BaseException:
    """The error that a task group's exception wraps."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
