"""E-mail addresses: the one check of all that people enter, and of addresses kept before the check existed."""

from email_validator import EmailNotValidError, validate_email

from services.chassis.errors import DomainError

_LONGEST = 320
"""More than any address has: longer texts are not looked at."""


class EmailNotValid(DomainError):
    """Refused when it is set, or every e-mail that names the address would fail later."""

    code = "email_not_valid"
    status = 422


def address(value: str, field: str = "email") -> str:
    """The address as SMTP and headers take it: ASCII, a domain in another script in its ASCII form.

    Raises `EmailNotValid`. Name servers are not asked: one's bad day must not refuse a client.
    """
    found = usable(value.strip(" "))
    if found is None:
        # Without the cause: its text repeats the address.
        raise EmailNotValid("This is not an e-mail address that mail can be sent to.", field=field)
    return found


def usable(value: str) -> str | None:
    """The address as SMTP and headers take it, or None where it is none."""
    if len(value) > _LONGEST:
        return None
    try:
        checked = validate_email(
            value, check_deliverability=False, allow_smtputf8=False, strict=True, test_environment=True
        )
    except EmailNotValidError:
        return None
    found = checked.ascii_email or checked.normalized
    # RFC 5322 allows it in a local part, and readers of a header would decode it as an encoded-word.
    return None if "=?" in found else found
