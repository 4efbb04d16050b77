"""Foreign text as it may be shown: nothing hidden in it, nothing that turns other text about."""

from __future__ import annotations

import pytest

from core.sanitize import sanitize, sanitize_line


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u200bb\u2060c\ufeff", "abc"),
        ("red\x1b[31m\x07\x9b", "red[31m"),
        ("half \ud83d a letter", "half  a letter"),
        ("tags" + "".join(chr(0xE0000 + ord(one)) for one in "stop all"), "tags"),
        ("two\n\tlines", "two\n\tlines"),
        ("👩‍💻 é ñ 日本 हिन्दी", "👩‍💻 é ñ 日本 हिन्दी"),
        ("<b>&amp; {gap} `x`</b>", "<b>&amp; {gap} `x`</b>"),
    ],
)
def test_invisible_characters_are_removed(given: str, shown: str) -> None:
    assert sanitize(given) == shown


def test_a_line_is_one_line_and_bounded() -> None:
    assert sanitize_line("a\nb\u2028c\r\td\x00 \u202e e", 200) == "a b c d e"
    assert sanitize_line("x" * 5000, 60) == "x" * 60
