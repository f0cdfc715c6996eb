"""Parameters that hold more than one value."""

from uuid import UUID

from litestar.exceptions import ValidationException


def ids_in(name: str, text: str) -> list[UUID]:
    """The ids in a query parameter, separated by commas; none in an empty one. Raises `ValidationException`."""
    try:
        return [UUID(each) for each in text.split(",")] if text else []
    except ValueError:
        wrong = {"source": "query", "key": name, "message": "Expected UUIDs separated by commas"}
        raise ValidationException(extra=[wrong]) from None
