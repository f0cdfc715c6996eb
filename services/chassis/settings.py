"""Settings come from the environment and are checked at the start; one error lists all that is wrong."""

import os
import re
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

SettingsT = TypeVar("SettingsT", bound="ProcessSettings")
Loaded = TypeVar("Loaded", bound=BaseSettings)


Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """Who a process is to Kafka, for every client library. By default none: a broker on a network of its own."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    cafile: str | None = None
    """Authorities that may have signed the broker's certificate; None: the ones that this machine trusts."""

    def options(self) -> dict[str, Any]:
        """Keyword arguments for a client of aiokafka."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            options["ssl_context"] = self.ssl_context()
        if self.sasl:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options

    @property
    def tls(self) -> bool:
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("SASL_")

    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.cafile)


OPEN = KafkaSecurity()


class _Files(PydanticBaseSettingsSource):
    """`NAME_FILE` names a file that holds `NAME`: how container platforms hand over secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        return (Path(path).read_text().strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class KafkaSettings(BaseSettings):
    """How to reach Kafka, and as whom."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    kafka_bootstrap_servers: str
    kafka_security_protocol: Protocol = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ssl_cafile: FilePath | None = None

    @model_validator(mode="after")
    def _who(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL_") and not (
            self.kafka_sasl_username and self.kafka_sasl_password.get_secret_value()
        ):
            raise ValueError("SASL needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        return self

    @property
    def kafka_security(self) -> KafkaSecurity:
        return KafkaSecurity(
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            self.kafka_sasl_username,
            self.kafka_sasl_password.get_secret_value(),
            str(self.kafka_ssl_cafile) if self.kafka_ssl_cafile else None,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _Files(settings_cls)


@dataclass(frozen=True)
class HttpLimits:
    """The load that a process accepts from its callers."""

    head_bytes: int = 32 * 1024
    headers: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    connections: int = 800


class ProcessSettings(KafkaSettings):
    """The settings of every process."""

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=1, le=65535)]
    http_head_bytes: Annotated[int, Field(ge=1024)] = HttpLimits.head_bytes
    http_headers: Annotated[int, Field(ge=10)] = HttpLimits.headers
    http_head_seconds: Annotated[float, Field(gt=0)] = HttpLimits.head_seconds
    http_body_seconds: Annotated[float, Field(gt=0)] = HttpLimits.body_seconds
    http_connections: Annotated[int, Field(ge=1)] = HttpLimits.connections
    otel_exporter_otlp_endpoint: str | None = None
    otel_metrics_exporter: Literal["otlp", "none"] = "otlp"
    """`none`: spans alone go to that endpoint, since Prometheus reads `/metrics`."""
    metrics_token: Annotated[SecretStr, Field(min_length=16)] | None = None
    """Who has it reads `/metrics` of the process. Without one there is no such page."""
    kafka_group_instance_id: str | None = None
    """Names a worker process to its consumer groups, so that one that was killed is taken over from at once, and not
    after the session's time-out. Each process of a service needs its own."""
    log_level: str = "INFO"

    @property
    def metrics_endpoint(self) -> str | None:
        """Where metrics go by OTLP."""
        return self.otel_exporter_otlp_endpoint if self.otel_metrics_exporter == "otlp" else None

    @property
    def is_measured(self) -> bool:
        """Whether anybody asks for this process's metrics."""
        return self.metrics_token is not None or self.metrics_endpoint is not None

    @property
    def http_limits(self) -> HttpLimits:
        return HttpLimits(
            self.http_head_bytes,
            self.http_headers,
            self.http_head_seconds,
            self.http_body_seconds,
            self.http_connections,
        )


class ServiceSettings(ProcessSettings):
    """The settings of every service's process. `database_url` names the role that the process runs as."""

    database_url: str
    database_url_next: str | None = None
    """The same role with its next password, while it is replaced where the environment is all that is handed over."""
    internal_token_public_key: str

    def database_urls(self) -> list[str]:
        """The URLs to connect by, the first first. One that is in a file is read each time."""
        return urls_of(self, "database_url")


def urls_of(settings: BaseSettings, name: str) -> list[str]:
    """A setting's present value, read again if it is in a file, and the one to come."""
    found = (in_file(each) or getattr(settings, each) for each in (name, f"{name}_next"))
    return [value for value in found if value]


def in_file(name: str) -> str | None:
    """The setting in the file that `NAME_FILE` names, unless `NAME` is set. None while the file cannot be read."""
    path = None if os.environ.get(name.upper()) else os.environ.get(f"{name.upper()}_FILE")
    try:
        return Path(path).read_text().strip() if path else None
    except OSError:
        return None


_USER = re.compile(r"(?<=//)[^,\s]*@")
_QUERY = re.compile(r"\?[^,\s]*")


def shown(settings: BaseSettings) -> dict[str, Any]:
    """The settings for a log: of a secret whether it is set, of an address neither its user nor its query."""
    return {name: _shown(getattr(settings, name)) for name in type(settings).model_fields}


def _shown(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    if isinstance(value, Mapping):
        return {str(name): _shown(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_shown(each) for each in value]
    text = str(value)
    return _QUERY.sub("", _USER.sub("", text)) if "//" in text else text


def load(settings: type[Loaded]) -> Loaded:
    """The settings, or one message that names every variable that is missing or wrong, and exit status 2."""
    try:
        return settings()
    except ValidationError as error:
        problems = [
            f"  {': '.join(filter(None, ('_'.join(map(str, each['loc'])).upper(), each['msg'])))}"
            for each in error.errors()
        ]
        sys.stderr.write("These settings are missing or wrong:\n" + "\n".join(problems) + "\n")
        raise SystemExit(2) from None
