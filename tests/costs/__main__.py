"""`python -m tests.costs`: measure the hot operations, and write tests/costs.json."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.costs", description=__doc__).parse_args()
    environment = {**os.environ, "CLINICPAY_WRITE_COSTS": "1"}
    sys.exit(
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests/costs"], cwd=ROOT, env=environment, check=False
        ).returncode
    )
