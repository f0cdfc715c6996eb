"""The data directory of one installation: who uses it, its layout, its secrets."""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from deploy.local.errors import EmbeddedError
from deploy.ops.secrets import Secrets, role_passwords

LAYOUT = "1"
StripeKind = Literal["sandbox", "test", "live"]
_HELD = {
    "sandbox": "demo data, or payments of the sandbox",
    "test": "payments of Stripe's test mode",
    "live": "live payments of Stripe",
}


class DataDir:
    """An existing data directory that this process alone uses until it ends."""

    def __init__(self, path: Path) -> None:
        """Make or open it. EmbeddedError if it is in use, of another layout, or not a data directory at all."""
        self.path = path.absolute()
        self._make()
        self._lock = self._locked()
        self._check_layout()
        for private in (self.logs, self.mail):
            private.mkdir(mode=0o700, exist_ok=True)

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def scraping(self) -> Path:
        """Prometheus's configuration."""
        return self.path / "prometheus.json"

    @property
    def mail(self) -> Path:
        return self.path / "mail"

    @property
    def demo_loaded(self) -> Path:
        """Exists once the demo data is in the databases."""
        return self.path / "demo-loaded"

    @property
    def sandbox_state(self) -> Path:
        return self.path / "sandbox.sqlite3"

    def keep_stripe(self, kind: StripeKind) -> None:
        """Say whose payments this directory holds. EmbeddedError if it holds those of another Stripe."""
        file = self.path / "stripe"
        if not file.exists():
            file.write_text(("sandbox" if self.sandbox_state.exists() else kind) + "\n")
        if (held := file.read_text().strip()) != kind:
            raise EmbeddedError(
                f"the data directory {self.path} holds {_HELD[held]}, and this start is for {_HELD[kind]}: "
                "they never mix, so choose another --data"
            )

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def secrets(self) -> Secrets:
        """This directory's secrets; made on the first call, for roles and uses that are new as well."""
        file = self.path / "secrets.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        kept = replace(Secrets.new(), **before)
        kept = replace(kept, role_passwords=role_passwords() | kept.role_passwords)
        if asdict(kept) != before:
            aside = file.with_suffix(".new")
            aside.touch(mode=0o600)
            aside.write_text(json.dumps(asdict(kept), indent=1))
            aside.replace(file)
        return kept

    def keep_addresses(self, addresses: Mapping[str, str]) -> None:
        """Write where the parts of this run are, for commands that come while it runs."""
        (self.path / "addresses.json").write_text(json.dumps(addresses, indent=1))

    def keep_scraping(self, configuration: Mapping[str, object]) -> None:
        """Write Prometheus's configuration for this run: it holds a token, so nobody else may read it."""
        self.scraping.touch(mode=0o600)
        self.scraping.write_text(json.dumps(configuration, indent=1))

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as refusal:
            raise EmbeddedError(f"cannot make the data directory {self.path}: {refusal.strerror}") from None
        known = {"version", "lock"}
        strangers = {entry.name for entry in self.path.iterdir()} - known
        if strangers and not (self.path / "version").exists():
            raise EmbeddedError(
                f"{self.path} is neither empty nor a data directory of ClinicPay: choose another --data"
            )

    def _locked(self) -> int:
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as refusal:
            raise EmbeddedError(
                f"cannot write in the data directory {self.path}: {refusal.strerror}"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode().strip()
            raise EmbeddedError(
                f"the data directory {self.path} is in use by another `clinicpay up` (process {holder})"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        return lock

    def _check_layout(self) -> None:
        version = self.path / "version"
        if not version.exists():
            version.write_text(LAYOUT + "\n")
        if (found := version.read_text().strip()) != LAYOUT:
            raise EmbeddedError(
                f"the data directory {self.path} has layout {found}, this ClinicPay has {LAYOUT}: "
                "choose another --data"
            )
