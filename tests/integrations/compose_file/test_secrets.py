"""No secret of a file is ever shown: not in the whole file, not in a diff, not when it is no YAML."""

import re

import pytest

from integrations.compose_file.edits import read_services, set_environment, set_memory_limit
from integrations.compose_file.file_diff import mask_file, masked_diff
from tests.integrations.compose_file.conftest import file

PLANTED = """# the password is planted00
x-env: &env
  A: planted01
  # DB_PASSWORD=planted02
  #- SMTP_PASS=planted03
x-word: &word planted04
x-smtp: {password: planted05, host: mail}
services:
  api:
    image: ghcr.io/acme/api:1.2   # token planted06
    environment:
      <<: *env
      PORT: 8080
      DEBUG: true
      WORD: *word
      PIN_PASSWORD: 12345
      URL: postgres://u:planted07@db/x
      NAME: ${NAME}
      DEFAULTED: ${NAME:-planted08}
      MULTI: |
        planted09
        planted10
      FOLDED: "planted11
        planted12"
    command: ["redis-server", "--requirepass", "planted13", "--port", "6379"]
    mem_limit: 2g
    build:
      context: https://u:planted14@git.example.com/x.git
      args:
        NPM: planted15
    logging: {driver: splunk, options: {splunk-token: planted16}}
  db:
    image: mysql
    command: mysqld --password=planted17 -pplanted18 --port 3306
    entrypoint: sh -c "PGPASSWORD=planted19 psql -h db; curl -u admin:planted20 http://x"
    environment:
      - KEY=planted21
      - "Q=planted22"
      - DEBUG=true
      - PASS_THROUGH
    labels:
      - "traefik.http.middlewares.a.basicauth.users=admin:$$apr1$$planted23"
      - traefik.http.middlewares.b.headers.customrequestheaders.X-Api=planted24
      - traefik.enable=true
    healthcheck:
      test: ["CMD-SHELL", "mysqladmin ping -h localhost -pplanted25"]
    secrets: [db_password]
  redis:
    image: redis
    command:
      - redis-server
      - --requirepass
      - planted26
    healthcheck:
      test: [CMD, redis-cli, -a, planted27, ping]
    labels:
      com.example.api-key: planted28
      traefik.http.middlewares.c.basicauth.users: a:planted29
secrets:
  db_password:
    file: ./db_password.txt
  inline:
    content: planted30
configs:
  c:
    content: |
      planted31
"""
SECRET = re.compile(r"planted[0-9]{2}|12345")


def test_a_masked_file_shows_no_secret() -> None:
    shown = mask_file(PLANTED)
    assert SECRET.findall(shown) == []
    assert shown.count("\n") == PLANTED.count("\n")


def test_values_that_are_no_secret_stay_visible() -> None:
    shown = mask_file(PLANTED)
    for kept in (
        "image: ghcr.io/acme/api:1.2",
        "PORT: 8080",
        "DEBUG: true",
        "NAME: ${NAME}",
        "WORD: *word",
        "mem_limit: 2g",
        '"--port", "6379"',
        "- PASS_THROUGH",
        "- KEY=[secret]",
        "- traefik.enable=true",
        "secrets: [db_password]",
        "file: ./db_password.txt",
        "# the password [secret]",
    ):
        assert kept in shown, kept


@pytest.mark.parametrize("name", ["n8n", "weaviate", "swarm", "comments", "mailcow_like"])
def test_a_file_without_secrets_in_it_keeps_its_lines(name: str) -> None:
    text = file(name)
    pairs = zip(text.splitlines(), mask_file(text).splitlines(), strict=True)
    assert all(new == old or "[secret]" in new for old, new in pairs)


@pytest.mark.parametrize(
    "broken",
    [
        PLANTED.replace("services:", "services\t:\n\t", 1),
        PLANTED.replace("  db:\n", "  db: [\n", 1),
        PLANTED + "x: 'planted32\n  planted33\n",
        PLANTED + "---\na: b\n",
        PLANTED.replace("\n", "\r\n") + "\x01",
    ],
)
def test_a_broken_file_shows_no_secret(broken: str) -> None:
    assert SECRET.findall(mask_file(broken)) == []
    assert SECRET.findall("\n".join(masked_diff(broken, PLANTED) + masked_diff(PLANTED, broken))) == []


@pytest.mark.parametrize("number", range(32))
def test_a_diff_around_a_secret_does_not_show_it(number: int) -> None:
    changed = PLANTED.replace(f"planted{number:02}", f"planted{number + 50}")
    assert changed != PLANTED
    lines = masked_diff(PLANTED, changed, context=3)
    assert lines and SECRET.findall("\n".join(lines)) == []
    assert len(lines) <= 20 and all(len(line) <= 60 for line in lines)


def test_extracted_facts_hold_no_secret() -> None:
    assert SECRET.findall(repr(read_services(PLANTED))) == []


def test_a_diff_is_marked_by_its_service() -> None:
    text = file("weaviate")
    assert masked_diff(text, set_memory_limit(text, "weaviate", factor=2)) == [
        "@@ weaviate",
        '  command: ["--host", "0.0.0.0", "--port", "8080", "--schem…',
        "- mem_limit: 4g           # vectors live in memory",
        "- memswap_limit: 4g",
        "+ mem_limit: 8g           # vectors live in memory",
        "+ memswap_limit: 8g",
        "  environment:",
    ]
    assert masked_diff(text, set_environment(text, "frontend", "API_URL", "http://other"), context=0) == [
        "@@ frontend",
        "- - API_URL=[secret]",
        "+ - API_URL=[secret]",
    ]
    assert masked_diff(text, text) == []


def test_a_long_diff_counts_what_it_leaves_out() -> None:
    text = "services:\n" + "".join(f"  s{n}:\n    image: a:1\n" for n in range(30))
    lines = masked_diff(text, text.replace("a:1", "a:2"))
    assert len(lines) == 20 and re.fullmatch(r"… -[0-9]+ \+[0-9]+", lines[-1])
