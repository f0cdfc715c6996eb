"""The whole system on one machine: its processes, the environment of each, and what each waits for."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.local.datadir import DataDir, StripeKind
from deploy.local.errors import EmbeddedError
from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import choose, free_port, port_is_free
from deploy.local.scraping import scraping
from deploy.local.supervisor import Supervisor
from deploy.local.units import PythonUnit, ServerUnit, run_once
from deploy.local.zipkin.server import EmbeddedZipkin
from deploy.ops import database
from deploy.ops.secrets import Secrets
from services.gateway.settings import DEMO_OPERATOR_KEY

WORKED = ("invoice", "payment", "notification")
STRIPE = ("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET")
Environment = Mapping[str, str]


@dataclass(frozen=True)
class Ports:
    """Where the processes listen on 127.0.0.1: those for people next to each other, the rest wherever there is room."""

    gateway: int
    sandbox: int
    mailbox: int
    console: int
    kafka: int
    zipkin: int
    smtp: int
    spans: int
    inner: dict[str, int]

    @classmethod
    def choose(cls, gateway: int) -> "Ports":
        """EmbeddedError if the gateway's port is taken; the others for people prefer the ones after it, in each run."""
        if not port_is_free(gateway):
            raise EmbeddedError(f"port {gateway} is taken: choose another with --port")
        names = [f"{service}.{role}" for service in WORKED for role in ("api", "worker")]
        inner = {name: free_port() for name in (*names, "relay")}
        sandbox, mailbox, console, kafka, zipkin = (_preferably(gateway + after) for after in range(1, 6))
        return cls(gateway, sandbox, mailbox, console, kafka, zipkin, free_port(), free_port(), inner)


def _preferably(port: int) -> int:
    return port if port < 65536 and choose(port) else free_port()


@dataclass(frozen=True)
class Stripe:
    """Keys of the real Stripe, or of the sandbox."""

    secret_key: str
    publishable_key: str
    webhook_secret: str
    sandbox: bool

    @classmethod
    def of(cls, environment: Environment, secrets: Secrets) -> "Stripe":
        """The real one if STRIPE_SECRET_KEY is set; EmbeddedError if its companions are not."""
        if not environment.get("STRIPE_SECRET_KEY"):
            keys = (secrets.sandbox_secret_key, secrets.sandbox_publishable_key, secrets.webhook_secret)
            return cls(*keys, sandbox=True)
        if missing := [name for name in STRIPE if not environment.get(name)]:
            raise EmbeddedError(f"STRIPE_SECRET_KEY is set, so these must be too: {', '.join(missing)}")
        secret_key, publishable_key, webhook_secret = (environment[name] for name in STRIPE)
        return cls(secret_key, publishable_key, webhook_secret, sandbox=False)

    @property
    def kind(self) -> StripeKind:
        """Whose payments there are: they never mix in one data directory."""
        if self.sandbox:
            return "sandbox"
        return "live" if self.secret_key.startswith(("sk_live_", "rk_live_")) else "test"


@dataclass
class System:
    """Everything that `clinicpay up` runs, on one data directory. Call `keep_all`, then wait for the supervisor."""

    data: DataDir
    ports: Ports
    demo: bool
    traces: bool = False
    """Whether Zipkin runs too, and is sent all spans."""
    postgres: EmbeddedPostgres = field(init=False)
    kafka: EmbeddedKafka = field(init=False)
    zipkin: EmbeddedZipkin = field(init=False)
    secrets: Secrets = field(init=False)
    stripe: Stripe = field(init=False)
    dsns: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.secrets = self.data.secrets()
        self.stripe = Stripe.of(os.environ, self.secrets)
        if self.demo and not self.stripe.sandbox:
            raise EmbeddedError(
                "STRIPE_SECRET_KEY is set: the demo never mixes with Stripe, so start with --no-demo"
            )
        self.data.keep_stripe(self.stripe.kind)
        self.postgres = EmbeddedPostgres(self.data.path / "postgres", log=self.data.log("postgres"))
        self.kafka = EmbeddedKafka(self.data.path / "kafka", log=self.data.log("kafka"))
        self.kafka.port = self.ports.kafka
        self.zipkin = EmbeddedZipkin(self.ports.zipkin, self.data.log("zipkin"))

    @property
    def public_url(self) -> str:
        """By name: browsers have passkeys for a name alone, and no encryption is asked of this one."""
        return f"http://localhost:{self.ports.gateway}"

    @property
    def sandbox_url(self) -> str:
        return _url(self.ports.sandbox)

    @property
    def mailbox_url(self) -> str:
        return _url(self.ports.mailbox)

    @property
    def console_url(self) -> str:
        return f"http://localhost:{self.ports.console}"

    @property
    def operator_key(self) -> str:
        return DEMO_OPERATOR_KEY if self.demo else self.secrets.operator_key

    @property
    def metrics_token(self) -> str:
        return os.environ.get("METRICS_TOKEN") or self.secrets.metrics_token

    @property
    def measured(self) -> dict[str, str]:
        """The processes that show metrics, by name, each with the address that it listens on."""
        addresses = {name: f"127.0.0.1:{port}" for name, port in self.ports.inner.items()}
        outer = {"gateway.api": self.ports.gateway, "console": self.ports.console}
        return {**{name: f"127.0.0.1:{port}" for name, port in outer.items()}, **addresses}

    def keep_addresses(self) -> None:
        """Write down where this run's parts are, for commands that come while it runs."""
        self.data.keep_addresses(
            {
                "portal": self.public_url,
                "sandbox": self.sandbox_url,
                "mailbox": self.mailbox_url,
                "console": self.console_url,
                "postgres_cluster": str(self.postgres.cluster),
            }
        )
        self.data.keep_scraping(scraping(self.measured, self.metrics_token))

    def keep_all(self, supervisor: Supervisor) -> None:
        """Hand every process and step to the supervisor. Slow starters come first: they get the CPU first."""
        supervisor.keep(ServerUnit("postgres", self.postgres))
        supervisor.keep(ServerUnit("kafka", self.kafka))
        if self.traces:
            supervisor.keep(ServerUnit("zipkin", self.zipkin))
        supervisor.once("migrations", ["postgres"], self._migrate)
        supervisor.once("topics", ["kafka"], self._make_topics)
        for unit in self.units():
            supervisor.keep(unit)

    async def _migrate(self) -> None:
        passwords = self.secrets.role_passwords
        self.dsns |= await database.bootstrap(self.postgres.admin_dsn, database.SERVICES, passwords)
        await database.migrate_all(self.dsns)

    async def _make_topics(self) -> None:
        from deploy.ops import topics

        await topics.ensure(self.kafka.bootstrap_servers)

    def units(self) -> list[PythonUnit]:
        """The Python processes of this installation."""
        ports, both = self.ports, ("migrations", "topics")
        units = [self._unit("gateway", "services.gateway api", ports.gateway, self._gateway, both)]
        for service in WORKED:
            for role in ("worker", "api"):
                name, env = f"{service}.{role}", self._service_env(service, role)
                units.append(self._unit(name, f"services.{service} {role}", ports.inner[name], env, both))
        units.append(
            self._unit("relay", "services.chassis.outbox.relay", ports.inner["relay"], self._relay, both)
        )
        units.append(self._unit("console", "deploy.ops.console", self.ports.console, self._console, both))
        if self.stripe.sandbox:
            units.append(self._unit("sandbox", "deploy.sandbox", ports.sandbox, self._sandbox))
        if self.traces:
            where = {"ZIPKIN_URL": self.zipkin.url}
            units.append(self._unit("spans", "deploy.local.zipkin", ports.spans, lambda: where, ("zipkin",)))
        return [*units, self._unit("mailbox", "deploy.local.mailbox", ports.mailbox, self._mailbox)]

    def _unit(
        self, name: str, command: str, port: int, env: Callable[[], Environment], after: tuple[str, ...] = ()
    ) -> PythonUnit:
        return PythonUnit(
            name=name,
            argv=command.split(),
            port=port,
            log=self.data.log(name),
            env=lambda: {**_inherited(), "METRICS_TOKEN": self.metrics_token, **self._traced(), **env()},
            after=after,
        )

    def _traced(self) -> Environment:
        """Metrics are not sent to Zipkin; they are read at `/metrics`."""
        if not self.traces:
            return {}
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": _url(self.ports.spans), "OTEL_METRICS_EXPORTER": "none"}

    def _service_env(self, service: str, role: str) -> Callable[[], Environment]:
        kinds = {"invoice": self._invoice, "payment": self._payment, "notification": self._notification}
        more = kinds.get(service)
        instance = {"KAFKA_GROUP_INSTANCE_ID": f"{service}-worker"} if role == "worker" else {}
        return lambda: {**self._service(f"{service}_{role}"), **instance, **(more() if more else {})}

    def _service(self, role: str) -> Environment:
        return {
            "DATABASE_URL": self.dsns[role],
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "INTERNAL_TOKEN_PUBLIC_KEY": self.secrets.token_public_key,
        }

    def _invoice(self) -> Environment:
        return {"DOCUMENT_TOKEN_PUBLIC_KEY": self.secrets.document_token_public_key}

    def _payment(self) -> Environment:
        keys = {
            "STRIPE_SECRET_KEY": self.stripe.secret_key,
            "STRIPE_WEBHOOK_SECRET": self.stripe.webhook_secret,
            "INSTALLATION": os.environ.get("INSTALLATION") or self.secrets.installation,
            "METADATA_KEY": os.environ.get("METADATA_KEY") or self.secrets.metadata_key,
        }
        if self.stripe.sandbox:
            return {**keys, "STRIPE_API_BASE": self.sandbox_url}
        return {**keys, **_given("STRIPE_API_BASE")}

    def _notification(self) -> Environment:
        return {
            "SMTP_URL": os.environ.get("SMTP_URL") or f"smtp://127.0.0.1:{self.ports.smtp}",
            "MAIL_FROM": os.environ.get("MAIL_FROM") or "billing@clinicpay.example",
            "PORTAL_URL": self.public_url,
            "INVOICE_URL": _url(self.ports.inner["invoice.api"]),
            "DOCUMENT_TOKEN_PRIVATE_KEY": self.secrets.document_token_private_key,
            **self._pay_links(),
        }

    def _pay_links(self) -> Environment:
        """For who makes links and who reads them alike."""
        key = os.environ.get("PAY_LINK_KEY") or self.secrets.pay_link_key
        return {"PAY_LINK_KEY": key, **_given("PAY_LINK_DAYS")}

    def _gateway(self) -> Environment:
        inner = self.ports.inner
        upstreams = {f"{service.upper()}_URL": _url(inner[f"{service}.api"]) for service in WORKED}
        script = (
            {"STRIPE_JS_URL": f"{self.sandbox_url}/v3/"} if self.stripe.sandbox else _given("STRIPE_JS_URL")
        )
        return {
            **self._service("gateway_api"),
            **upstreams,
            **script,
            "INTERNAL_TOKEN_PRIVATE_KEY": self.secrets.token_private_key,
            "LOGIN_KEY": os.environ.get("LOGIN_KEY") or self.secrets.login_key,
            "PUBLIC_URL": self.public_url,
            **self._pay_links(),
            "STRIPE_PUBLISHABLE_KEY": self.stripe.publishable_key,
            "DEMO": "1" if self.demo else "0",
            "BOOTSTRAP_OPERATOR_KEY": self.operator_key,
            "READY_PARTS": ",".join(f"{name}={url}" for name, url in self._ready_parts().items()),
        }

    def _ready_parts(self) -> dict[str, str]:
        parts = {name: _url(port) for name, port in self.ports.inner.items()} | {
            "console": _url(self.ports.console)
        }
        parts |= {"sandbox": self.sandbox_url} if self.stripe.sandbox else {}
        return parts | {"mailbox": self.mailbox_url}

    def _relay(self) -> Environment:
        return {
            "RELAY_DATABASE_URLS": _listed({name: self.dsns[f"{name}_relay"] for name in WORKED}),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
        }

    def _console(self) -> Environment:
        password = self.secrets.role_passwords[database.OPS]
        books = database.reader_dsns(self.postgres.admin_dsn, password, database.OPS)
        sandbox = {"STRIPE_SECRET_KEY": self.stripe.secret_key, "STRIPE_API_BASE": self.sandbox_url}
        own = {"STRIPE_SECRET_KEY": os.environ.get("CONSOLE_STRIPE_KEY", ""), **_given("STRIPE_API_BASE")}
        return {
            **(sandbox if self.stripe.sandbox else own),
            "OPS_DATABASE_URLS": _listed(books),
            "WORKER_DATABASE_URLS": _listed({name: self.dsns[f"{name}_worker"] for name in WORKED}),
            "GATEWAY_DATABASE_URL": self.dsns["gateway_api"],
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "CONSOLE_URL": self.console_url,
            "CONSOLE_KEY": os.environ.get("CONSOLE_KEY") or self.secrets.console_key,
            "GATEWAY_URL": _url(self.ports.gateway),
        }

    def _sandbox(self) -> Environment:
        return {
            "SANDBOX_PUBLIC_URL": self.sandbox_url,
            "SANDBOX_WEBHOOK_URL": f"{self.public_url}/webhooks/stripe",
            "SANDBOX_WEBHOOK_SECRET": self.stripe.webhook_secret,
            "SANDBOX_SECRET_KEY": self.stripe.secret_key,
            "SANDBOX_PUBLISHABLE_KEY": self.stripe.publishable_key,
            "SANDBOX_STATE": str(self.data.sandbox_state),
        }

    def _mailbox(self) -> Environment:
        return {"SMTP_PORT": str(self.ports.smtp), "MAILBOX_DIR": str(self.data.mail)}

    async def load_demo(self) -> None:
        """Load the demo data by `deploy.local.demo`, and remember that. EmbeddedError if that fails."""
        env = {"PUBLIC_URL": self.public_url, "OPERATOR_API_KEY": self.operator_key}
        if self.stripe.sandbox:
            env |= {
                "SANDBOX_URL": self.sandbox_url,
                "SANDBOX_SECRET_KEY": self.stripe.secret_key,
                "SANDBOX_PUBLISHABLE_KEY": self.stripe.publishable_key,
            }
        await run_once(["deploy.local.demo"], {**_inherited(), **env}, self.data.log("demo"))
        self.data.demo_loaded.touch()


def _listed(urls: Mapping[str, str]) -> str:
    """As settings take them: `invoice=postgresql://…,payment=…`."""
    return ",".join(f"{name}={url}" for name, url in urls.items())


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _given(name: str) -> Environment:
    """A variable of the user's own, if it is set."""
    return {name: value} if (value := os.environ.get(name)) else {}


def _inherited() -> dict[str, str]:
    """The user's environment without what could steer a process elsewhere, and settings that keep Python small."""
    steering = ("STRIPE_", "SANDBOX_", "PG", "DATABASE_URL", "KAFKA_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return kept | {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
