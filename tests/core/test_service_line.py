"""A service is listed by its status: sign and words in both languages, and trouble is what needs a look."""

from __future__ import annotations

from typing import Any

import pytest

from core.monitoring.inventory import Service
from core.monitoring.status import Status
from core.text import LANGUAGES, Text
from core.views.service_line import service_status
from knowledge.config.text_files import load_texts
from tests.core.scripted_watcher import container
from tests.core.test_status import TABLE

TROUBLE = {Status.RESTARTING, Status.FAILED, Status.UNHEALTHY, Status.PAUSED}


@pytest.mark.parametrize(("status", "facts"), TABLE, ids=[f"{one}-{place}" for place, (one, _) in enumerate(TABLE)])
def test_a_service_is_listed_by_its_status(status: Status, facts: dict[str, Any]) -> None:
    own = container(**facts)
    found = service_status(Service(host="local", stack="shop", name="api", containers=(own,)))
    assert found.is_trouble is (status in TROUBLE)
    assert isinstance(found.message, Text)
    for language in LANGUAGES:
        assert load_texts().render(found.message, language)
    if status is not Status.FAILED and own.is_running is False:
        assert found.message.key == f"standing.{status}"
