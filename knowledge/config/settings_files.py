"""Reads the settings: the environment over the YAML file over the defaults; and writes the commented example."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from core.errors import SettingsError, closest
from core.settings import Settings

DEFAULT_FILE = Path("infraguardian.yml")
VARIABLE_PREFIX = "INFRAGUARDIAN_"
SETTINGS_VARIABLE = "INFRAGUARDIAN_SETTINGS"
"""Names the YAML file; it is not a setting itself."""
SHORT_VARIABLES = {
    "TELEGRAM_BOT_TOKEN": ("telegram", "token"),
    "TELEGRAM_ADMINS": ("telegram", "admins"),
    "OLLAMA_HOST": ("ollama", "url"),
}
"""Common names of environment variables, accepted besides INFRAGUARDIAN_<SECTION>__<NAME>."""


def load_settings(path: Path | None = None) -> Settings:
    """Load the settings; raises SettingsError naming each wrong one and where it is.

    `path`: the YAML file; None: INFRAGUARDIAN_SETTINGS, else `infraguardian.yml` where there is one.
    """
    file = path or Path(os.environ.get(SETTINGS_VARIABLE) or DEFAULT_FILE)
    if not file.is_file():
        if path is not None or os.environ.get(SETTINGS_VARIABLE):
            raise SettingsError(f"the settings file {str(file)!r} does not exist; copy infraguardian.example.yml there")
        file = Path(os.devnull)
    _refuse_unknown_variables()
    try:
        loaded = _loader(file)()
    except ValidationError as error:
        raise SettingsError(_explain(error, file)) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"the settings file {str(file)!r} is not valid YAML: {error}") from error
    except ValueError as error:
        raise SettingsError(f"the settings file {str(file)!r} can't be used: {error}") from error
    return Settings.model_validate(loaded.model_dump())


def _refuse_unknown_variables() -> None:
    """Refuse unknown settings: pydantic reads only the names it knows, so a typo would silently have no effect."""
    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        if not variable.upper().startswith(VARIABLE_PREFIX) or variable.upper() == SETTINGS_VARIABLE:
            continue
        section = variable.upper().removeprefix(VARIABLE_PREFIX).partition("__")[0]
        if section not in known:
            near = closest(section, known)
            hint = (
                f"; did you mean {VARIABLE_PREFIX}{near}?" if near else "; `infraguardian settings` prints all of them"
            )
            raise SettingsError(f"the environment sets {variable}, but there is no such setting{hint}")


def _loader(file: Path) -> type[BaseSettings]:
    class Loaded(BaseSettings, Settings):
        model_config = SettingsConfigDict(
            env_prefix=VARIABLE_PREFIX,
            env_nested_delimiter="__",
            env_ignore_empty=True,
            yaml_file=file,
            extra="forbid",
            frozen=True,
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
            short = InitSettingsSource(settings_cls, init_kwargs=_short_names())
            return env_settings, short, YamlConfigSettingsSource(settings_cls)

    return Loaded


def _short_names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, (section, name) in SHORT_VARIABLES.items():
        value = os.environ.get(variable)
        if not value:
            continue
        found.setdefault(section, {})[name] = _short_value(variable, value)
    docker_host = os.environ.get("DOCKER_HOST")
    if docker_host:
        found["engines"] = {"local": {"url": docker_host}}
    return found


def _short_value(variable: str, value: str) -> object:
    if variable == "TELEGRAM_ADMINS":
        return [part.strip() for part in value.split(",") if part.strip()]
    if variable == "OLLAMA_HOST" and "://" not in value:
        return f"http://{value}"
    return value


def _explain(error: ValidationError, file: Path) -> str:
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        problem = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            near = closest(str(item["loc"][-1]), _known_names(item["loc"][:-1]))
            problem = "there is no such setting" + (f"; did you mean {near!r}?" if near else "")
        lines.append(f"  {where}: {problem}")
    source = f"{str(file)!r} or the environment" if file != Path(os.devnull) else "the environment"
    return f"Wrong settings in {source}:\n" + "\n".join(lines)


def _known_names(path: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def example_settings() -> str:
    """The text of `infraguardian.example.yml`: every setting with its default and its comment."""
    head = [
        "# All settings of InfraGuardian with their defaults. Copy to infraguardian.yml and keep only what you change.",
        "# Environment variables override this file: INFRAGUARDIAN_<SECTION>__<NAME>, for example",
        "# INFRAGUARDIAN_WATCH__POLL_S=5. TELEGRAM_BOT_TOKEN, TELEGRAM_ADMINS, OLLAMA_HOST and DOCKER_HOST work too.",
        "",
    ]
    return "\n".join([*head, *_lines(Settings(), 0)]) + "\n"


def _lines(section: BaseModel, depth: int) -> Iterator[str]:
    pad = "  " * depth
    fields = type(section).model_fields
    for name, field in fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel) and depth == 0:
            yield ""
            yield from _comment(type(value).__doc__ or "", pad)
        yield from _comment(field.description or "", pad)
        if isinstance(value, BaseModel):
            yield f"{pad}{name}:"
            yield from _lines(value, depth + 1)
        elif isinstance(value, Mapping) and value and all(isinstance(one, BaseModel) for one in value.values()):
            yield f"{pad}{name}:"
            for key, one in value.items():
                yield f"{pad}  {key}:"
                yield from _lines(one, depth + 2)
        else:
            yield f"{pad}{name}: {_plain(value)}"


def _comment(text: str, pad: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield f"{pad}# {line.strip()}"


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return '""'
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).strip()
    return text.removesuffix("...").strip()
