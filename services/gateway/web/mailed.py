"""Pages behind links that are e-mailed. Programs that guard mailboxes ask for a head before a person opens the page."""

from functools import partial

from litestar import route
from litestar.enums import HttpMethod

mailed = partial(route, http_method=[HttpMethod.GET, HttpMethod.HEAD])
"""`get`, which answers HEAD as well: as GET, without the body."""
