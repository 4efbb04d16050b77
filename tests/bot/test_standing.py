"""A service is listed by its status: sign and words in both languages, and trouble is what needs a look."""

from __future__ import annotations

from typing import Any

import pytest

from bot.commands.service_status import standing
from core.monitoring.inventory import Service
from core.monitoring.status import Status
from core.text import LANGUAGES, Text
from knowledge.config.text_files import load_texts
from tests.core.scripted_watcher import container
from tests.core.test_status import TABLE

TROUBLE = {Status.RESTARTING, Status.FAILED, Status.UNHEALTHY, Status.PAUSED}


@pytest.mark.parametrize(("status", "facts"), TABLE, ids=[f"{one}-{place}" for place, (one, _) in enumerate(TABLE)])
def test_a_service_is_listed_by_its_status(status: Status, facts: dict[str, Any]) -> None:
    own = container(**facts)
    found = standing(Service(host="local", stack="shop", name="api", containers=(own,)))
    assert found.is_trouble is (status in TROUBLE)
    assert isinstance(found.says, Text)
    for language in LANGUAGES:
        assert load_texts().render(found.says, language)
    if status is not Status.FAILED and own.is_running is False:
        assert found.says.key == f"standing.{status}"
