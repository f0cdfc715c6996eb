"""The first page: is anything wrong, and where."""

from typing import Any

from litestar.di import NamedDependency
from litestar.response import Template

from deploy.ops.apart import apart
from deploy.ops.console.health import Watch
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from services.gateway.web.heads import readable


@readable("/")
async def health(operator: CurrentOperator, watch: NamedDependency[Watch]) -> Template:
    return page("ops_health.html", "health", operator, health=await watch.newest(), apart=apart)


PAGES: list[Any] = [health]
