"""Settings come from the environment, are checked at the start, and all that is wrong is said at once."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

SettingsT = TypeVar("SettingsT", bound="ProcessSettings")


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


class ProcessSettings(BaseSettings):
    """What every process reads."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=1, le=65535)]
    kafka_bootstrap_servers: str
    otel_exporter_otlp_endpoint: str | None = None
    kafka_group_instance_id: str | None = None
    """Names a worker process to its consumer groups, so that one that was killed is taken over from at once, and not
    after the session's time-out. Each process of a service needs its own."""
    log_level: str = "INFO"

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


class ServiceSettings(ProcessSettings):
    """What every service's process reads. `database_url` names the role that the process runs as."""

    database_url: str
    internal_token_public_key: str


def load(settings: type[SettingsT]) -> SettingsT:
    """The settings, or one message that names every variable that is missing or wrong, and exit status 2."""
    try:
        return settings()
    except ValidationError as error:
        problems = [
            f"  {'_'.join(str(part) for part in each['loc']).upper()}: {each['msg']}"
            for each in error.errors()
        ]
        sys.stderr.write("These settings are missing or wrong:\n" + "\n".join(problems) + "\n")
        raise SystemExit(2) from None
