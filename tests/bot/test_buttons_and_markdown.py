"""Pure parts: rendering within limits, payloads within 64 bytes, pacing, spans, Markdown."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.arguments.time_spans import parse_time_span, take_time_span
from bot.delivery.pacing import BURST, GROUP_PER_MINUTE, ChatPace, OverallPace
from bot.rendering import buttons, model_markdown
from bot.rendering.telegram_html import MESSAGE_LIMIT, cut_to_limit, render_card, split_message, utf16_units
from core.durations import duration
from core.views.cards import Card, Folded, Tone, faint, line, strong
from knowledge.config.text_files import load_texts
from playground.formatting.html_style import parse_html

words = st.text(alphabet=st.sampled_from("ab <&>😀é\"'_*`\n"), max_size=400)


@given(st.lists(words, max_size=60), words, words, st.booleans(), st.booleans())
def test_whatever_a_card_holds_it_fits_and_its_markup_closes(
    lines: list[str], title: str, tail: str, is_code: bool, keep_end: bool
) -> None:
    folded = Folded(lines=tuple(one * 3 for one in lines), heading=tail, is_code=is_code, keep_end=keep_end)
    card = Card(blocks=(line(strong(title), faint(tail), tone=Tone.CRITICAL), folded, line(title * 12)))
    rendered = render_card(card, load_texts(), "en")
    shown, _ = parse_html(rendered.html)
    assert utf16_units(shown) <= 4096
    assert utf16_units(rendered.plain) <= MESSAGE_LIMIT


def test_logs_keep_their_newest_lines() -> None:
    card = Card(blocks=(Folded(lines=tuple(f"line {n} " + "x" * 60 for n in range(500)), keep_end=True),))
    plain = render_card(card, load_texts(), "en").plain
    assert "line 499" in plain and "line 0 " not in plain and plain.startswith("…")


@given(words, st.integers(min_value=1, max_value=50))
def test_a_cut_text_fits(text: str, limit: int) -> None:
    assert utf16_units(cut_to_limit(text, limit)) <= limit
    assert utf16_units(cut_to_limit(text, limit, keep_end=True)) <= limit


@given(st.text(alphabet=st.sampled_from("ab \n😀"), max_size=3000))
def test_a_split_text_loses_no_word(text: str) -> None:
    parts = split_message(text, 200)
    assert all(utf16_units(part) <= 200 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_every_payload_fits_and_comes_back() -> None:
    kinds = list(buttons.ButtonPayload.__subclasses__())
    assert kinds
    for kind in kinds:
        values = {field.name: 10**17 if field.type == "int" else "x" * 16 for field in dataclasses.fields(kind)}
        made = kind(**values)
        assert len(made.pack().encode()) <= buttons.PAYLOAD_LIMIT
        assert buttons.parse_callback_data(made.pack()) == made


def test_a_payload_that_is_too_long_is_found_when_it_is_packed() -> None:
    with pytest.raises(buttons.PayloadTooLong, match="64"):
        buttons.CommandButton(token="ñ" * 40).pack()


@given(st.text(max_size=80))
def test_no_callback_data_breaks_the_reader(data: str) -> None:
    buttons.parse_callback_data(data)


def test_a_chat_is_paced() -> None:
    pace = ChatPace(is_group=False, edit_pace_s=1.5)
    now = 100.0
    for number in range(BURST):
        assert pace.wait_s(now, message=number, is_edit=False, is_urgent=False) == 0
        pace.went(now, message=number)
    assert pace.wait_s(now, message=9, is_edit=False, is_urgent=False) > 4
    assert pace.wait_s(now, message=9, is_edit=False, is_urgent=True) == 0
    now += 6
    assert pace.wait_s(now, message=9, is_edit=False, is_urgent=False) == 0
    pace.went(now, message=9)
    assert pace.wait_s(now, message=9, is_edit=True, is_urgent=False) == pytest.approx(1.5)
    assert pace.wait_s(now, message=9, is_edit=True, is_urgent=True) == 0
    pace.close(now, 30)
    assert pace.wait_s(now, message=9, is_edit=True, is_urgent=True) == 30


def test_a_group_keeps_a_reserve_for_new_cards() -> None:
    pace = ChatPace(is_group=True, edit_pace_s=4.0)
    for number in range(GROUP_PER_MINUTE):
        wait = pace.wait_s(200.0 + number * 2, message=number, is_edit=False, is_urgent=True)
        assert wait == 0
        pace.went(200.0 + number * 2, message=number)
    late = 200.0 + GROUP_PER_MINUTE * 2
    assert pace.wait_s(late, message=99, is_edit=False, is_urgent=True) > 10


def test_all_chats_together_are_paced() -> None:
    pace = OverallPace()
    waits = [pace.take(50.0) for _ in range(100)]
    assert waits[0] == 0 and 2.5 < waits[-1] < 3.5


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("2h", timedelta(hours=2)), ("30m", timedelta(minutes=30)), ("1D", timedelta(days=1)), ("0h", None), ("h2", None)],
)
def test_spans(typed: str, meant: timedelta | None) -> None:
    assert parse_time_span(typed) == meant
    assert take_time_span(["a", typed, "b"])[0] == meant


def test_durations_are_short() -> None:
    assert [duration(timedelta(seconds=s)) for s in (0, 32, 100, 3600, 90061)] == [
        "0 s",
        "32 s",
        "1 min 40 s",
        "1 h",
        "1 d 1 h",
    ]


@given(words)
def test_no_markdown_breaks_a_card(text: str) -> None:
    rendered = render_card(Card(blocks=tuple(model_markdown.markdown_blocks(text))), load_texts(), "es")
    parse_html(rendered.html)
