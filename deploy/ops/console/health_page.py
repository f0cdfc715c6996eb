"""The first page: is anything wrong, and where."""

from typing import Any

from litestar.di import NamedDependency
from litestar.response import Template

from deploy.ops.apart import apart
from deploy.ops.console.faults import faults_of
from deploy.ops.console.health import Watch
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from services.gateway.web.heads import readable


@readable("/")
async def health(operator: CurrentOperator, watch: NamedDependency[Watch]) -> Template:
    newest = await watch.newest()
    return page("ops_health.html", "health", operator, health=newest, faults=faults_of(newest), apart=apart)


PAGES: list[Any] = [health]
