"""Answers of acts that are done at once, or held."""

from typing import Any, TypeVar

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from contracts.http.common import Answer
from contracts.http.held import HeldActOut, HeldActsOut

T = TypeVar("T", bound=Answer)

HELD = {
    202: ResponseSpec(
        HeldActOut,
        generate_examples=False,
        description="The clinic has `undo_hours`: the act is held, and done at `due_at` unless it is undone",
    )
}
HELD_REFUNDS = {
    202: ResponseSpec(
        HeldActsOut,
        generate_examples=False,
        description="The clinic has `undo_hours`: each refund is held, and done at `due_at` unless it is undone",
    )
}


def made_or_held(made: T | HeldActOut | HeldActsOut) -> Response[T]:
    """201 with what was made, or 202 with what is held."""
    answer: Any = made
    return Response(answer, status_code=202 if isinstance(made, HeldActOut | HeldActsOut) else 201)
