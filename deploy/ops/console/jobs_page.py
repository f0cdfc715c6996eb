"""When each timed job ran last, how that ended, and when it runs next."""

from typing import Any

from litestar.response import Template

from deploy.ops.apart import apart
from deploy.ops.console.jobs import WORDS, look, process_of
from deploy.ops.console.login_pages import Console
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from services.gateway.web.heads import readable


@readable("/jobs")
async def jobs(operator: CurrentOperator, sources: Console) -> Template:
    found = await look(sources)
    runs = [(service, run) for service, of_service in found.items() for run in of_service or ()]
    return page(
        "ops_jobs.html",
        "jobs",
        operator,
        runs=sorted(runs, key=lambda each: (each[1].is_well, each[0], each[1].name)),
        wrong=sum(not run.is_well for _, run in runs),
        away=[service for service, of_service in found.items() if of_service is None],
        words=WORDS,
        process_of=process_of,
        apart=apart,
    )


PAGES: list[Any] = [jobs]
