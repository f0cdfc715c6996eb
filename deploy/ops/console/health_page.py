"""The first page: is anything wrong, and where."""

from typing import Any

from litestar import get
from litestar.response import Template

from deploy.ops.console.health import apart, look
from deploy.ops.console.login_pages import Console
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator


@get("/")
async def health(operator: CurrentOperator, sources: Console) -> Template:
    return page("ops_health.html", "health", operator, health=await look(sources), apart=apart)


PAGES: list[Any] = [health]
