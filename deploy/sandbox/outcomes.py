"""The outcome of an attempt to pay with a method or to save it: pure decisions."""

from typing import Literal

from deploy.sandbox.errors import Json
from deploy.sandbox.methods import KINDS

Step = Literal["challenge", "redirect", "process", "decline", "succeed"]


def first_step(kind: str, hidden: Json, *, setup: bool, off_session: bool) -> tuple[Step, str | None]:
    """The step, and the decline's name if it is one. `hidden` is what the method keeps to itself."""
    flow = KINDS[kind].flow
    if flow == "redirect":
        return "redirect", None
    if flow == "delayed":
        return ("succeed" if setup else "process"), None
    needed = _needs_authentication(hidden, setup=setup, off_session=off_session)
    if needed and off_session and not setup:
        return "decline", "authentication_required"
    if needed:
        return "challenge", None
    return after_authentication(hidden, setup=setup)


def after_authentication(hidden: Json, *, setup: bool) -> tuple[Step, str | None]:
    declined = hidden.get("decline")
    if declined and not (setup and hidden.get("saves")):
        return "decline", declined
    return "succeed", None


def _needs_authentication(hidden: Json, *, setup: bool, off_session: bool) -> bool:
    match hidden.get("authentication", "never"):
        case "always":
            return True
        case "off_session":
            return setup or not (off_session and hidden.get("set_up", False))
        case "once":
            return not (setup or off_session)
        case _:
            return False
