"""How pages are rendered: one Jinja environment and versioned assets.

The gateway's app takes `template_config()`; its login and error pages (`login.html`, `clinics.html`, `error.html`)
come from the same environment as the portal's.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig

HERE = Path(__file__).parent
STATIC = HERE / "static"
STATIC_URL = "/static"
TEMPLATES = sorted(HERE.parent.glob("*/templates"))
"""Each room of the gateway keeps its own pages; `web` keeps those that all of them build on."""


def environment() -> Environment:
    """Jinja with escaping on, which refuses a name that a page forgot to give."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["asset"] = asset
    return made


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    """What the gateway's `Litestar(template_config=…)` takes."""
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment()))


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of a static file; it changes with the content, so that browsers keep it for a year."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"{STATIC_URL}/{name}?v={digest}"
