"""Edits of a Compose file: read its services, or change one setting and nothing else."""

from integrations.compose_file.edits.image_edits import pin_digest, set_image_tag
from integrations.compose_file.edits.limit_edits import LimitStyle, set_cpu_limit, set_memory_limit
from integrations.compose_file.edits.setting_edits import (
    remove_environment,
    set_environment,
    set_healthcheck,
    set_restart,
)
from integrations.compose_file.edits.volume_edits import MountMode, set_volume
from integrations.compose_file.file_errors import ComposeFileError
from integrations.compose_file.service_facts import MemoryLimitSetting, ServiceFacts, read_services

__all__ = [
    "ComposeFileError",
    "LimitStyle",
    "MemoryLimitSetting",
    "MountMode",
    "ServiceFacts",
    "pin_digest",
    "read_services",
    "remove_environment",
    "set_cpu_limit",
    "set_environment",
    "set_healthcheck",
    "set_image_tag",
    "set_memory_limit",
    "set_restart",
    "set_volume",
]
