"""OpenTelemetry's collector of the version that compose runs, built from its Go modules with the parts that we use.

The build takes a minute and a half on two cores, once: it is kept beside other downloads. Its licence is Apache-2.0.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from deploy.local import places

ROOT = Path(__file__).resolve().parents[2]
CORE, CONTRIB = "go.opentelemetry.io/collector", "github.com/open-telemetry/opentelemetry-collector-contrib"
PARTS = {
    "receivers": [f"{CORE}/receiver/otlpreceiver"],
    "processors": [
        f"{CORE}/processor/batchprocessor",
        f"{CORE}/processor/memorylimiterprocessor",
        f"{CONTRIB}/processor/tailsamplingprocessor",
    ],
    "exporters": [f"{CORE}/exporter/otlpexporter", f"{CORE}/exporter/otlphttpexporter"],
}
SECONDS = 900


def version() -> str:
    """The version of compose's image."""
    found = re.search(r"opentelemetry-collector-contrib:([\d.]+)", (ROOT / "docker-compose.yml").read_text())
    assert found is not None
    return found[1]


def manifest(folder: Path) -> str:
    """The builder's manifest, with a module for each part."""
    parts = "".join(
        f"{kind}:\n" + "".join(f"  - gomod: {module} v{version()}\n" for module in modules)
        for kind, modules in PARTS.items()
    )
    return (
        f"dist:\n  module: clinicpay.example/collector\n  name: collector\n  output_path: {folder}\n{parts}"
    )


@cache
def lacks() -> str | None:
    """The reason why it cannot run here, if it cannot. The first call builds it."""
    if shutil.which("go") is None:
        return "needs Go to build OpenTelemetry's collector"
    try:
        binary()
    except (OSError, subprocess.SubprocessError) as error:
        told = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return f"needs OpenTelemetry's collector, which could not be built: {told[-1] if told else error}"
    return None


def binary() -> Path:
    """The program. Raises `subprocess.SubprocessError` when it cannot be built."""
    folder = places.cache_dir() / f"collector-{version()}"
    built = folder / "collector"
    if not built.exists():
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        making.mkdir(parents=True)
        (making / "manifest.yaml").write_text(manifest(making))
        _build(making)
        folder.mkdir(exist_ok=True)
        (making / "collector").replace(built)
        shutil.rmtree(making)
    return built


def _build(folder: Path) -> None:
    builder = f"{CORE}/cmd/builder@v{version()}"
    subprocess.run(
        ["nice", "-n", "10", "go", "run", builder, f"--config={folder / 'manifest.yaml'}"],
        cwd="/",
        env={**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"},
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
