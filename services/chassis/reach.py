"""How a clinic can be reached, and the words for it: every page and e-mail takes them from here. Pure.

A clinic may have given a phone number, an e-mail address and a postal address, or none of them.
"""

from typing import Protocol


class Contact(Protocol):
    """A clinic's details; one that is missing is empty."""

    @property
    def phone(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def address(self) -> str: ...


def is_reachable(contact: Contact) -> bool:
    """Whether the clinic's details lead anywhere. Opening hours alone do not."""
    return bool(contact.phone or contact.email or contact.address)


def ask(contact: Contact, name: str) -> str:
    """The way to ask the clinic, within a sentence: `call or write to Harbour Clinic`."""
    if contact.phone and contact.email:
        return f"call or write to {name}"
    if contact.phone:
        return f"call {name}"
    return f"write to {name}" if contact.email else f"ask at {name}"


def contact_words(contact: Contact) -> str:
    """`contact the clinic`, for a text that its details follow; without any, where to ask."""
    return "contact the clinic" if is_reachable(contact) else "ask at the clinic"
