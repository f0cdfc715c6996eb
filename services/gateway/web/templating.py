"""How pages are rendered: one Jinja environment and versioned assets.

The login and error pages (`login.html`, `clinics.html`, `error.html`) are rendered by the same environment as the
portal's pages.
"""

import hashlib
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.datastructures import CacheControlHeader
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig

from contracts.http import shown
from services.chassis import reach
from services.chassis.locale.phones import dial_link

HERE = Path(__file__).parent
STATIC = HERE / "static"
STATIC_URL = "/static"
FOR_EVER = CacheControlHeader(public=True, immutable=True, max_age=365 * 24 * 3600)
"""For addresses that change with their content."""
TEMPLATES = tuple(sorted(HERE.parent.glob("*/templates")))
"""Each room of the gateway has its own templates; `web` has the shared ones."""


@cache
def environment(templates: tuple[Path, ...] = TEMPLATES) -> Environment:
    """Jinja with escaping; a name that is missing from the context raises an error. Templates are compiled once."""
    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["asset"] = asset
    made.globals["dial_link"] = dial_link
    made.globals["ask"] = reach.ask
    made.globals["reached"] = shown.reached
    made.globals["envelope"] = shown.envelope
    made.globals["is_reachable"] = reach.is_reachable
    return made


def template_config(templates: tuple[Path, ...] = TEMPLATES) -> TemplateConfig[JinjaTemplateEngine]:
    """The value for `Litestar(template_config=…)`."""
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment(templates)))


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of a static file. It changes with the content, so browsers may keep the file for a year."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"{STATIC_URL}/{name}?v={digest}"
