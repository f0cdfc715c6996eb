"""The data directory, the choice of ports and Stripe, what a test run reports."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from deploy.local import process
from deploy.local.datadir import DataDir
from deploy.local.errors import EmbeddedError
from deploy.local.process import free_port, port_is_free
from deploy.local.system import Ports, Stripe, System
from deploy.ops import database
from tests.tools.runner import Count, count


def test_a_data_directory_is_for_one_at_a_time(tmp_path: Path) -> None:
    first = DataDir(tmp_path / "data")
    with pytest.raises(
        EmbeddedError, match=rf"data is in use by another `clinicpay up` \(process {os.getpid()}\)"
    ):
        DataDir(first.path)


def test_a_data_directory_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("99\n")
    with pytest.raises(EmbeddedError, match="has layout 99, this ClinicPay has 1"):
        DataDir(tmp_path)


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(EmbeddedError, match="neither empty nor a data directory"):
        DataDir(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    secrets = data.secrets()
    assert data.secrets() == secrets
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert set(secrets.role_passwords) == {*database.all_roles(), *database.READERS}
    assert "d" in json.loads(secrets.token_private_key)
    assert "d" not in json.loads(secrets.token_public_key)


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"^port {port} is taken: choose another with --port$"):
            Ports.choose(port)


def test_no_port_is_chosen_twice() -> None:
    assert len({free_port() for _ in range(500)}) == 500
    gateway = free_port()
    chosen = [Ports.choose(port) for port in (gateway, gateway)]
    assert len({ports.sandbox for ports in chosen} | {ports.kafka for ports in chosen}) == 4


def test_neighbouring_ports_are_preferred_but_not_insisted_on() -> None:
    gateway = _six_free_ports()
    with socket.create_server(("127.0.0.1", gateway + 1)):
        ports = Ports.choose(gateway)
        assert ports.sandbox != gateway + 1
        assert ports.mailbox == gateway + 2


def test_addresses_for_people_are_the_same_in_each_run(tmp_path: Path) -> None:
    gateway = _six_free_ports()
    first = Ports.choose(gateway)
    process.CHOSEN.clear()  # as another process
    second = Ports.choose(gateway)
    for name in ("gateway", "sandbox", "mailbox", "console", "kafka", "zipkin"):
        assert getattr(first, name) == getattr(second, name)
    system = System(DataDir(tmp_path), first, demo=False, traces=True)
    assert system.kafka.bootstrap_servers == f"127.0.0.1:{gateway + 4}"
    assert system.zipkin.url == f"http://127.0.0.1:{gateway + 5}"


def _six_free_ports() -> int:
    return next(
        port
        for port in iter(free_port, None)
        if all(port_is_free(each) and each not in process.CHOSEN for each in range(port + 1, port + 6))
    )


@pytest.mark.parametrize("traces", [True, False])
def test_processes_send_traces_where_zipkin_is_and_only_then(
    tmp_path: Path, traces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    system = System(DataDir(tmp_path), Ports.choose(free_port()), demo=False, traces=traces)
    system.dsns = dict.fromkeys(("relay",), "postgresql://x")
    units = {unit.name: unit for unit in system.units()}

    assert ("spans" in units) is traces
    where = units["mailbox"].env().get("OTEL_EXPORTER_OTLP_ENDPOINT")
    assert where == (f"http://127.0.0.1:{system.ports.spans}" if traces else None)


def test_the_real_stripe_needs_all_its_keys(tmp_path: Path) -> None:
    secrets = DataDir(tmp_path).secrets()
    assert Stripe.of({}, secrets).sandbox
    with pytest.raises(EmbeddedError, match="STRIPE_PUBLISHABLE_KEY, STRIPE_WEBHOOK_SECRET"):
        Stripe.of({"STRIPE_SECRET_KEY": "sk_test_1"}, secrets)
    keys = {"STRIPE_SECRET_KEY": "sk", "STRIPE_PUBLISHABLE_KEY": "pk", "STRIPE_WEBHOOK_SECRET": "whsec"}
    assert Stripe.of(keys, secrets) == Stripe("sk", "pk", "whsec", sandbox=False)


def test_a_data_directory_is_for_one_stripe(tmp_path: Path) -> None:
    old = DataDir(tmp_path / "old")
    old.sandbox_state.touch()
    with pytest.raises(
        EmbeddedError, match="holds demo data, or payments of the sandbox, and this start is for live"
    ):
        old.keep_stripe("live")
    old.keep_stripe("sandbox")
    new = DataDir(tmp_path / "new")
    new.keep_stripe("live")
    for other in ("sandbox", "test"):
        with pytest.raises(EmbeddedError, match="never mix, so choose another --data"):
            new.keep_stripe(other)
    new.keep_stripe("live")


@pytest.mark.parametrize("key", ["sk_live_1", "sk_test_1"])
def test_the_demo_never_mixes_with_stripe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", key)
    monkeypatch.setenv("STRIPE_PUBLISHABLE_KEY", "pk_1")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_1")
    with pytest.raises(EmbeddedError, match="start with --no-demo"):
        System(DataDir(tmp_path), Ports.choose(free_port()), demo=True)
    assert not (tmp_path / "stripe").exists()


def test_secret_keys_reach_only_who_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_1")
    monkeypatch.setenv("STRIPE_PUBLISHABLE_KEY", "pk_live_1")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_1")
    system = System(DataDir(tmp_path), Ports.choose(free_port()), demo=False)
    system.dsns = {role: f"postgresql://{role}@h/d" for role in database.all_roles()}
    given = {unit.name: set(unit.env().values()) for unit in system.units()}
    assert {name for name, values in given.items() if "sk_live_1" in values} == {
        "payment.api",
        "payment.worker",
    }
    signing = system.secrets.token_private_key
    assert {name for name, values in given.items() if signing in values} == {"gateway"}
    assert "sandbox" not in given
    operators = system.secrets.role_passwords[database.OPS]
    assert {name for name, values in given.items() if any(operators in value for value in values)} == {
        "console"
    }
    assert {name for name, values in given.items() if system.secrets.console_key in values} == {"console"}


def test_every_role_has_its_own_dsn() -> None:
    dsn = database.role_dsn(
        "postgresql://admin:x@db.example:5433/postgres?sslmode=require", "invoice_api", "p@/", "d"
    )
    assert dsn == "postgresql://invoice_api:p%40%2F@db.example:5433/d?sslmode=require"


def test_missing_role_passwords_are_all_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("GATEWAY_OWNER_PASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(KeyError, match="not set: GATEWAY_API_PASSWORD"):
        database.environment_passwords(["gateway"])
    monkeypatch.setenv("GATEWAY_API_PASSWORD", "given")
    assert database.environment_passwords(["gateway"]) == {
        "gateway_owner": "from a file",
        "gateway_api": "given",
    }


def test_a_report_counts_tests_and_keeps_the_reasons(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"><testcase>'
        '<skipped message="needs Go"/></testcase></testsuite></testsuites>'
    )
    assert count(report) + Count(1) == Count(passed=3, failed=2, skipped=1, skips=("needs Go",))
