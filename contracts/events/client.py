"""Events of a clinic's client."""

from typing import ClassVar
from uuid import UUID

from contracts.events import topics
from contracts.events.envelope import Event
from contracts.events.topics import Topic


class ClientErased(Event):
    """A client's name and address are erased: no document names the client any more. `time`: of the erasure.

    A reader erases what it keeps of the person from before that time. Sums, ids and documents stay.
    """

    topic: ClassVar[Topic] = topics.CLIENT_ERASED
    key_field: ClassVar[str] = "client_id"

    client_id: UUID
