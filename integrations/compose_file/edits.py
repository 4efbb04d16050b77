"""What can be done to a Compose file: read its services, and change one setting and nothing else."""

from integrations.compose_file.facts import MemoryPlace, ServiceFacts, services
from integrations.compose_file.failures import ComposeFileError
from integrations.compose_file.images import pin_digest, set_image_tag
from integrations.compose_file.limits import Style, set_cpu_limit, set_memory_limit
from integrations.compose_file.settings import remove_environment, set_environment, set_healthcheck, set_restart
from integrations.compose_file.volumes import Mode, set_volume

__all__ = [
    "ComposeFileError",
    "MemoryPlace",
    "Mode",
    "ServiceFacts",
    "Style",
    "pin_digest",
    "remove_environment",
    "services",
    "set_cpu_limit",
    "set_environment",
    "set_healthcheck",
    "set_image_tag",
    "set_memory_limit",
    "set_restart",
    "set_volume",
]
