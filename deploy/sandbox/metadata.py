"""Metadata: Stripe's limits, and how an update changes it."""

from deploy.sandbox.errors import BadParameter, Json


def changed(before: Json, given: Json | str | None) -> Json:
    """An empty string clears all, an empty value clears one key, the rest is added."""
    if given is None:
        return before
    if isinstance(given, str):
        return {}
    for key, value in given.items():
        _check(key, value)
    after = before | given
    if len(after) > 50:
        raise BadParameter("Metadata can have up to 50 keys.", "metadata")
    return {key: value for key, value in after.items() if value != ""}


def _check(key: str, value: str) -> None:
    if len(key) > 40:
        raise BadParameter(
            f"Metadata keys can have up to 40 characters, but you passed in a key that is {len(key)} characters. "
            f"Invalid key: {key}",
            "metadata",
        )
    if len(value) > 500:
        raise BadParameter(
            f"Metadata values can have up to 500 characters, but you passed in a value that is {len(value)} "
            f"characters. Invalid value: {value}",
            f"metadata[{key}]",
        )
