"""All routes of the console: open to who has none yet, pages behind the login, and answers for programs."""

from typing import Any

from deploy.ops.console import (
    audit_pages,
    clinic_pages,
    email_pages,
    health_page,
    jobs_page,
    journeys_page,
    key_pages,
    login_pages,
    one_clinic_page,
    parked_pages,
    verify_page,
)

OPEN: list[Any] = login_pages.OPEN
PAGES: list[Any] = [
    *login_pages.BEHIND,
    *health_page.PAGES,
    *jobs_page.PAGES,
    *journeys_page.PAGES,
    *parked_pages.PAGES,
    *email_pages.PAGES,
    *clinic_pages.PAGES,
    *one_clinic_page.PAGES,
    *key_pages.PAGES,
    *verify_page.PAGES,
    *audit_pages.PAGES,
]
PROGRAMS: list[Any] = journeys_page.PROGRAMS
