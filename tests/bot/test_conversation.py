"""Free text: streamed, stopped, about a card, turned into buttons; one slow answer holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from agent.chat.conversation import (
    AnswerChunk,
    AnswerMessage,
    AnswerPart,
    AnswerProgress,
    ChatQuestion,
    ModelUsage,
    ProposeCommand,
    RunCommand,
)
from core.text import bilingual, text
from tests.bot.world import FaceWorld
from tests.testbed.world import eventually

Parts = AsyncGenerator[AnswerPart, None]


async def _slow(question: ChatQuestion) -> Parts:
    yield AnswerProgress(message=bilingual("Reading the log", "Leyendo los logs"))
    yield AnswerChunk(text="It **was** ")
    await asyncio.Event().wait()


async def test_an_answer_says_that_the_model_wrote_it(world: FaceWorld) -> None:
    async def answer(question: ChatQuestion) -> Parts:
        yield AnswerMessage(message=bilingual("First the facts.", "Primero los hechos."))
        yield AnswerChunk(text="It **was** <memory>")
        yield AnswerChunk(text="It **was** <memory>, see `docker stats`:\n\n- one\n- two\n```\nx < y\n```")
        yield ModelUsage(tokens=120, seconds=3.2)

    world.dialogue.script = answer
    await world.ada.say("why is granada down?")
    said = await world.says(world.ada.chat, "by the model · 3 s · 120 tokens")
    assert "First the facts." in said.text and "• one" in said.text
    assert "<b>was</b> &lt;memory&gt;" in said.html and "<code>docker stats</code>" in said.html
    assert world.dialogue.asked[0].text == "why is granada down?"


async def test_a_slow_answer_delays_nobody_and_can_be_stopped(world: FaceWorld) -> None:
    world.dialogue.script = _slow
    await world.ada.say("think hard")
    progress = await world.says(world.ada.chat, "Thinking…")
    await world.grace.say("/status")
    await world.says(world.grace.chat, "Todo bien")
    await world.ada.say("/whoami")
    await world.says(world.ada.chat, "Role: admin")
    assert world.ada.chat.drafts
    answer = await (await world.ada.tap(progress, "Stop")).answer()
    assert answer.text == "Stopped."
    await world.message(world.ada.chat, lambda one: one.id == progress.id and one.text.endswith("Stopped."))
    await world.quiet()


async def test_only_the_asker_stops_an_answer_in_a_group(world: FaceWorld) -> None:
    world.dialogue.script = _slow
    await world.olga.say("@infraguardian_bot think hard", chat=world.ops)
    progress = await world.says(world.ops, "It was")
    assert world.dialogue.asked[0].text == "think hard"
    refused = await (await world.grace.tap(progress, "Stop")).answer()
    assert refused.show_alert
    stopped = await (await world.olga.tap(progress, "Stop")).answer()
    assert not stopped.show_alert


async def test_an_interrupted_question_is_answered_after_the_restart(idle: FaceWorld) -> None:
    idle.dialogue.script = _slow
    async with idle.running() as world:
        await world.ada.say("think hard")
        await eventually(lambda: world.dialogue.asked, what="the question")
    idle.dialogue.script = None
    async with idle.running() as world:
        await eventually(lambda: len(world.dialogue.asked) == 2, what="the question again")
        await world.says(world.ada.chat, "I don't have an answer")


async def test_a_request_to_act_becomes_a_button(world: FaceWorld) -> None:
    async def wish(question: ChatQuestion) -> Parts:
        yield ProposeCommand(
            name="restart", arguments="granada/api", message=text("dialogue.propose.restart", target="granada/api")
        )

    world.dialogue.script = wish
    await world.ada.say("restart the api of granada please")
    question = await world.says(world.ada.chat, "Shall I restart granada/api?")
    assert not await world.knowledge.runs.list(kind="call")
    await (await world.ada.tap(question, "Yes, do it")).answer()
    await world.says(world.ada.chat, "Restarted local/granada-api-1")


async def test_a_question_that_matches_a_command_gets_its_answer(world: FaceWorld) -> None:
    async def status(question: ChatQuestion) -> Parts:
        yield RunCommand(name="status", arguments="granada")

    async def act(question: ChatQuestion) -> Parts:
        yield RunCommand(name="restart", arguments="granada/api")

    world.dialogue.script = status
    await world.ada.say("how is granada?")
    await world.says(world.ada.chat, "postgres")
    world.dialogue.script = act
    await world.ada.say("do it without asking")
    await world.says(world.ada.chat, "I don't have an answer")
    await world.quiet()
    assert not await world.knowledge.runs.list(kind="call")


async def test_a_reply_to_a_card_or_to_its_page_is_about_the_incident(world: FaceWorld) -> None:
    incident = await world.trouble()
    card = await world.says(world.ada.chat, "granada/api")
    await world.ada.say("why?", reply_to=card)
    await eventually(lambda: len(world.dialogue.asked) == 1, what="the question")
    await (await world.ada.tap(card, "Why?")).answer()
    why = await world.says(world.ada.chat, "Evidence")
    await world.ada.say("and then?", reply_to=why)
    await eventually(lambda: len(world.dialogue.asked) == 2, what="the second question")
    assert [one.incident_id for one in world.dialogue.asked] == [incident.id, incident.id]


async def test_a_dialogue_that_fails_is_explained(world: FaceWorld) -> None:
    async def broken(question: ChatQuestion) -> Parts:
        yield AnswerMessage(message=text("chat.thinking"))
        raise RuntimeError("a bug with secrets in it")

    world.dialogue.script = broken
    await world.ada.say("hello")
    answer = await world.says(world.ada.chat, "wrong on my side")
    assert "secrets" not in answer.text


async def test_a_long_answer_comes_in_parts(world: FaceWorld) -> None:
    async def long(question: ChatQuestion) -> Parts:
        yield AnswerChunk(text="\n\n".join(f"paragraph {number} " + "word 😀 " * 60 for number in range(30)))

    world.dialogue.script = long
    await world.ada.say("tell me everything")
    await world.says(world.ada.chat, "paragraph 20")
    parts = [one for one in world.ada.chat.bot_messages if "paragraph" in one.text]
    assert len(parts) > 1 and all(len(one.text.encode("utf-16-le")) // 2 <= 4096 for one in parts)
