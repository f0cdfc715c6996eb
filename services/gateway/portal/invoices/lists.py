"""The place in Billing History that led to a page, kept in the address, so that the page leads back to it."""

from urllib.parse import parse_qsl, urlencode

FILTERS = ("unpaid", "paid")
LONGEST_QUERY = 500


def query(status: str, cursor: str | None) -> str:
    """The query of a list: its filter and its page."""
    return urlencode({name: value for name, value in (("status", status), ("cursor", cursor)) if value})


def read(given: str) -> str:
    """The query of a list as an address gave it, without what no list has."""
    found = dict(parse_qsl(given[:LONGEST_QUERY]))
    status = found.get("status", "")
    return query(status if status in FILTERS else "", found.get("cursor"))


def kept(of_list: str) -> str:
    """The query for addresses in a list, so that their pages lead back to it."""
    return f"?{urlencode({'list': of_list})}" if of_list else ""


def kept_list(given: str) -> str:
    """The same for addresses on a page that a list led to."""
    return kept(read(given))


def address(path: str, of_list: str) -> str:
    return f"{path}?{of_list}" if of_list else path
