"""Secrets go, ordinary lines stay, and no text makes it slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import MASK, Redactor, is_secret_name, redact, redact_json

SECRET = "s3cr3tVALUE9xyz"
BOT = "8123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"
HOLDS_A_SECRET = [
    f"DB_PASSWORD={SECRET}",
    f'"password": "{SECRET}"',
    f"{{'api_key': '{SECRET}'}}",
    f"password: {SECRET}",
    f"postgres://app:{SECRET}@db:5432/app",
    f"redis://:{SECRET}@cache:6379/0",
    f"amqp://guest:{SECRET}@extra@broker/",
    f"Authorization: Bearer {SECRET}",
    f"authorization: Basic {SECRET}==",
    f"Cookie: session={SECRET}; theme=dark",
    f"curl -H 'X-Api-Key: {SECRET}' http://x",
    f"mysql --password {SECRET} app",
    f"mysql --password={SECRET} app",
    f"GET /hook?token={SECRET}&page=2",
    f"N8N_ENCRYPTION_KEY={SECRET}",
    f"clientSecret={SECRET}",
    f'env: {{\\"PGPASSWORD\\": \\"{SECRET}\\"}}',
    f"using token {SECRET}12345 for login",
    f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\ncut off",
]
TOKENS = [
    BOT,
    f"https://api.telegram.org/bot{BOT}/getMe",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 9,
    "xoxb-1234567890-abcdefghijk",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "sk-proj-" + "a1B2" * 9,
]
ORDINARY = [
    '2026-01-01T10:00:00Z ERROR could not translate host name "db" to address: Temporary failure in name resolution',
    "image granada/api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 pulled",
    "container 4c01db0b339c1d2e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e died",
    "commit 1c7d177a2f6f3f1de1b0c1b4b1a0c6a0d9e8f7a6",
    'FATAL:  password authentication failed for user "postgres"',
    "KeyError: 'DATABASE_URL'",
    "Worker (pid:9) was sent SIGKILL! Perhaps out of memory?",
    "max_tokens: 4096, primary_key: id, tokens=25000 used",
    "GET /health?verbose=1 200 http://api:8000/health",
    "2026/01/01 12:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream",
    "invalid token: expired",
    "mailto:ada@example.org wrote to bob@example.org at 10:20:30",
]


@pytest.mark.parametrize("line", HOLDS_A_SECRET)
def test_a_secret_is_masked(line: str) -> None:
    assert SECRET not in redact(line)
    assert MASK in redact(line)


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_masked_wherever_it_stands(token: str) -> None:
    bare = token.rpartition("/bot")[2].removesuffix("/getMe")
    assert bare not in redact(f"failed: {token} rejected")


@pytest.mark.parametrize("line", ORDINARY)
def test_a_line_without_secrets_is_unchanged(line: str) -> None:
    assert redact(line) == line


@pytest.mark.parametrize("line", [*HOLDS_A_SECRET, *TOKENS, *ORDINARY])
def test_redacting_again_changes_nothing(line: str) -> None:
    once = redact(line)
    assert redact(once) == once


@given(st.text(alphabet=st.sampled_from("abKEY_=: \"'\\@/.-\n019[]{}&;,tokenpasswordsecret"), max_size=120))
def test_redacting_twice_equals_redacting_once_for_any_text(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "unit",
    ["a", "password", "password=", 'password="', "a:", "://", "http://a:", "@", "eyJ", "eyJaaaaaaaaaa.", " ", "token ",
     "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN ", "Authorization:", "bearer ", "12345678:", "\\\"", "key=", "x_",
     "cookie='", "--password ", "ab-cd.", "a@b:", "AKIA", "xoxb-"],
)  # fmt: skip
def test_a_megabyte_is_redacted_in_time(unit: str) -> None:
    hostile = unit * (1_000_000 // len(unit))
    began = time.process_time()
    redact(hostile)
    assert time.process_time() - began < 3.0


def test_known_secrets_are_masked_in_every_encoding() -> None:
    redactor = Redactor(["pa ss/word"])
    redactor.add("tiny")
    assert redactor.redact("it is pa ss/word or pa%20ss%2Fword, tiny") == f"it is {MASK} or {MASK}, tiny"
    assert redactor.redact_json({"says": ["pa ss/word"]}) == {"says": [MASK]}


def test_json_is_masked_by_name_and_by_form() -> None:
    given_value = {
        "Env": [f"DB_PASSWORD={SECRET}", "LANG=C"],
        "password": SECRET,
        "max_tokens": 4096,
        "credentials": {"user": "ada"},
        "pairs": [{"name": "API_KEY", "value": SECRET}, {"name": "LANG", "value": "C"}],
        "url": f"postgres://app:{SECRET}@db/app",
        "exit_code": 137,
        "token": None,
    }
    cleaned = redact_json(given_value)  # type: ignore[arg-type]
    assert SECRET not in str(cleaned)
    assert isinstance(cleaned, dict)
    assert cleaned["max_tokens"] == 4096
    assert cleaned["exit_code"] == 137
    assert cleaned["token"] is None
    assert cleaned["pairs"] == [{"name": "API_KEY", "value": MASK}, {"name": "LANG", "value": "C"}]


def test_very_deep_json_is_masked() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert "secret" in str(redact_json(deep))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("DB_PASSWORD", True),
        ("PGPASSWORD", True),
        ("apiKey", True),
        ("signing-key", True),
        ("TOKEN", True),
        ("primary_key", False),
        ("keyspace", False),
        ("monkey", False),
        ("max_tokens", False),
        ("host", False),
    ],
)
def test_secret_names(name: str, is_secret: bool) -> None:
    assert is_secret_name(name) is is_secret
