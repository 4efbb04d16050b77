"""A memory or CPU limit changes where the file writes it, and nowhere else."""

import pytest

from integrations.compose_file.edits import ComposeFileError, read_services, set_cpu_limit, set_memory_limit

DEFAULTS = """\
x-defaults: &defaults
  restart: unless-stopped   # always up
  mem_limit: 512m

services:
  api:
    <<: *defaults
    image: "ghcr.io/acme/api:1.2"    # the api
    # end of api

  worker:
    <<: *defaults
    image: ghcr.io/acme/worker:1.2
    memswap_limit: 768m
"""


def test_an_inherited_limit_changes_for_one_service_only() -> None:
    edited = set_memory_limit(DEFAULTS, "api", factor=2)
    assert edited == DEFAULTS.replace("    # end of api\n", "    # end of api\n    mem_limit: 1024m\n")
    api, worker = read_services(edited)
    assert (api.memory_limit_bytes, worker.memory_limit_bytes) == (1024 * 2**20, 512 * 2**20)
    assert worker.memory_is_inherited and not api.memory_is_inherited


def test_the_swap_goes_up_with_the_limit() -> None:
    edited = set_memory_limit(DEFAULTS, "worker", limit_mb=1024)
    assert edited == DEFAULTS.replace("768m", "1280m") + "    mem_limit: 1024m\n"


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("mem_limit: 2G  # two", "mem_limit: 4G  # two"),
        ("mem_limit: 512m", "mem_limit: 1024m"),
        ("mem_limit: '1.5gb'", "mem_limit: '3gb'"),
        ('mem_limit:   "700 MB"', 'mem_limit:   "1400 MB"'),
        ("mem_limit: 1073741824", "mem_limit: 2147483648"),
        ("deploy: {resources: {limits: {memory: 1G}}}", "deploy: {resources: {limits: {memory: 2G}}}"),
    ],
)
def test_the_unit_and_the_quotes_stay(written: str, becomes: str) -> None:
    text = f"services:\n  api:\n    image: a\n    {written}\n"
    assert set_memory_limit(text, "api", factor=2) == text.replace(written, becomes)


def test_a_limit_in_a_variable_names_the_variable() -> None:
    text = "services:\n  api:\n    mem_limit: ${API_MEMORY:-2g}\n"
    with pytest.raises(ComposeFileError, match=r"line 3, column 16: .*API_MEMORY") as raised:
        set_memory_limit(text, "api", factor=2)
    assert raised.value.variable == "API_MEMORY"


def test_an_unknown_service_gets_the_nearest_name() -> None:
    with pytest.raises(ComposeFileError, match="no service 'wrker'; did you mean 'worker'"):
        set_cpu_limit(DEFAULTS, "wrker", 2)
