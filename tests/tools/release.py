"""Keep the schemas of a release: `python -m tests.tools.release` is run when a release is made, and by nothing else.

It copies contracts/schemas to contracts/released, and writes the files' hashes to contracts/released/hashes.json. A
test refuses a released schema that was changed by hand.
"""

import hashlib
import json
import shutil

from tests.tools.generate import CONTRACTS

RELEASED = CONTRACTS / "released"
HASHES = RELEASED / "hashes.json"


def hashes() -> dict[str, str]:
    """SHA-256 of each released schema, by file name."""
    files = sorted(RELEASED.glob("*.v*.json"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    for path in sorted(CONTRACTS.glob("schemas/*.json")):
        shutil.copyfile(path, RELEASED / path.name)
    HASHES.write_text(json.dumps(hashes(), indent=1) + "\n")
    print(f"released {len(hashes())} schemas")


if __name__ == "__main__":
    main()
