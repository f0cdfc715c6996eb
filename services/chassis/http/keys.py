"""The keys in a setting: one JWK, or a set of them while one replaces another."""

import msgspec


class _Set(msgspec.Struct):
    keys: list[msgspec.Raw] | None = None


def keys_in(setting: str) -> list[str]:
    """The keys as they are written. The first is the one in use, all are accepted."""
    try:
        found = msgspec.json.decode(setting, type=_Set).keys
    except msgspec.MsgspecError:
        found = None
    return [bytes(key).decode().strip() for key in found] if found else [setting]
