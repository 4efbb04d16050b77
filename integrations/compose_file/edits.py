"""What can be done to a Compose file: read its services, and change one setting and nothing else."""

from integrations.compose_file.facts import MemoryPlace, ServiceFacts, services
from integrations.compose_file.failures import ComposeFileError
from integrations.compose_file.images import pin_digest, set_image_tag
from integrations.compose_file.limits import Style, set_cpu_limit, set_memory_limit

__all__ = [
    "ComposeFileError",
    "MemoryPlace",
    "ServiceFacts",
    "Style",
    "pin_digest",
    "services",
    "set_cpu_limit",
    "set_image_tag",
    "set_memory_limit",
]
