"""The example file holds every setting with its default, and each is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Settings, secrets_of
from knowledge.config.settings_files import example_settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "infraguardian.example.yml"


def test_the_example_is_current() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example_settings(), (
        "run `infraguardian settings > infraguardian.example.yml`"
    )


def test_the_example_gives_the_defaults() -> None:
    assert load_settings(EXAMPLE) == Settings()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("telegrm: {}", "did you mean 'telegram'"),
        ("watch: {pol_s: 3}", "did you mean 'poll_s'"),
        ("watch: {poll_s: -1}", "watch.poll_s"),
        ("engines: {a: {url: 'http://x'}}", "ssh://user@host"),
        ("watch: [", "is not valid YAML"),
        ("telegram: {admins: [ada]}", "telegram.admins"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "infraguardian.yml"
    path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert named in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(tmp_path / "nowhere.yml")


def test_every_secret_of_every_section_is_known_to_be_one() -> None:
    settings = Settings.model_validate(
        {
            "telegram": {"token": "1:telegram-token", "webhook_secret": "telegram-secret"},
            "dokploy": {
                "url": "https://dokploy.example.com",
                "api_key": "dokploy-key",
                "webhook_secret": "dokploy-hook",
            },
            "web": {"hook_secrets": {"monitor": "monitor-secret"}},
            "key": "own-key",
            "database_url": "postgresql+psycopg://guardian:database-password@db/guardian",
        }
    )
    assert sorted(secrets_of(settings)) == [
        *("1:telegram-token", "database-password", "dokploy-hook", "dokploy-key"),
        *("monitor-secret", "own-key", "telegram-secret"),
    ]
