"""Held acts: values and refusals. Pure."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from contracts.vocabulary import HeldState
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller


@dataclass(frozen=True, slots=True)
class Wanted:
    """An act that somebody wants.

    id          of the held act: name what is reserved for it, and keys of calls to Stripe, by this
    request     the arguments: ids, amounts, dates and codes, and the texts that the result will have
    """

    id: UUID
    caller: Caller
    subject_id: UUID
    request: Mapping[str, Any]

    @property
    def clinic_id(self) -> UUID:
        return self.caller.clinic


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect that an act would have now, as JSON values.

    posts   documents, entries and movements with their amounts: an act that would post something else when it is due
            is not done
    shows   what the invoice will show, and who will be written to
    """

    posts: Mapping[str, Any]
    shows: Mapping[str, Any]

    @property
    def hash(self) -> bytes:
        """Of what would be posted, whatever the order of its keys."""
        return hashlib.sha256(json.dumps(self.posts, sort_keys=True).encode()).digest()


@dataclass(frozen=True, slots=True)
class Act:
    """A kind of act that can be held. Each function works in the caller's transaction, the worker's when it is due.

    preview     what the act would do now. It counts what is reserved for this act as free. Raises what refuses the act.
                What it posts must not depend on other acts, such as a balance does
    reserve     reserve what the act needs, so that nothing else uses it while the act is held
    do          do it, and return the id of what was made. It uses what was reserved, and calls nobody
    release     give back what was reserved
    """

    kind: str
    preview: Callable[[Connection, Wanted], Awaitable[Preview]]
    reserve: Callable[[Connection, Wanted, Preview], Awaitable[None]]
    do: Callable[[Connection, Wanted, Preview], Awaitable[UUID]]
    release: Callable[[Connection, Wanted], Awaitable[None]]

    @property
    def task_kind(self) -> str:
        return f"held.{self.kind}"

    @property
    def exception_kind(self) -> str:
        return f"{self.kind}_changed"


@dataclass(frozen=True, slots=True)
class HeldAct:
    """A row of `held_acts`. `result_id` names what was made, once it is done."""

    clinic_id: UUID
    id: UUID
    kind: str
    subject_id: UUID
    request: Mapping[str, Any]
    preview: Preview
    preview_hash: bytes
    actor: UUID
    role: Literal["staff", "operator"]
    state: HeldState
    reason: str | None
    result_id: UUID | None
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    ended_by: UUID | None

    @property
    def wanted(self) -> Wanted:
        caller = Caller(self.actor, self.role, self.clinic_id)
        return Wanted(self.id, caller, self.subject_id, self.request)


class HeldActNotFound(DomainError):
    code = "held_act_not_found"
    status = 404


class AlreadyDone(DomainError):
    """It can no longer be undone."""

    code = "already_done"


class NotHeld(DomainError):
    """It ended without being done: it was canceled, or is an exception."""

    code = "not_held"
