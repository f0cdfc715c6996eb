"""All routes of the console: open to who has none yet, pages behind the login, and answers for programs."""

from typing import Any

from deploy.ops.console import health_page, journeys_page, login_pages

OPEN: list[Any] = login_pages.OPEN
PAGES: list[Any] = [*login_pages.BEHIND, *health_page.PAGES, *journeys_page.PAGES]
PROGRAMS: list[Any] = journeys_page.PROGRAMS
