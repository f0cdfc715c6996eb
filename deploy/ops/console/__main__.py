"""`python -m deploy.ops.console`: the operators' console."""

from deploy.ops.console.app import console
from deploy.ops.console.settings import Settings
from services.chassis.process import run

if __name__ == "__main__":
    run("console", "console", console, Settings)
