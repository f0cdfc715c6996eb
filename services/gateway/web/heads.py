"""Pages that are looked at. Programs that guard mailboxes or watch addresses ask for a head before a person comes."""

from functools import partial

from litestar import route
from litestar.enums import HttpMethod

readable = partial(route, http_method=[HttpMethod.GET, HttpMethod.HEAD])
"""`get`, which answers HEAD as well: as GET, without the body."""
