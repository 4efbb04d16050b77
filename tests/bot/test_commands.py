"""Every command, bare and with words, from a person's message to what the chat shows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.commands.command_table import COMMANDS, listed_commands
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.monitoring.snapshot import Sample
from core.monitoring.topology import Topology
from core.settings import Autonomy
from core.text import LANGUAGES, text
from knowledge.config.text_files import load_texts
from playground.chats.shown_chats import ShownMessage
from tests.bot.world import FaceWorld
from tests.testbed.world import eventually


async def _ask(world: FaceWorld, words: str, *parts: str) -> ShownMessage:
    before = world.ada.chat.last_id
    await world.ada.say(words)
    return await world.says(world.ada.chat, *parts, after=before)


async def test_status_shows_every_stack_and_leads_on(world: FaceWorld) -> None:
    answer = await _ask(world, "/status", "granada", "malaga")
    assert answer.text.startswith("🟢 All good: 4 services in 2 stacks")
    world.engine.kill("granada-api-1")
    await world.look()
    answer = await _ask(world, "/status", "4 services, 1 needs attention")
    assert "api: exited (code 137)" in answer.text
    await (await world.ada.tap(answer, "granada")).answer()
    await world.says(world.ada.chat, "postgres", "running")


async def test_status_says_that_a_part_of_the_watch_has_failed(world: FaceWorld) -> None:
    alert = Alert(
        kind=AlertKind.DETECTOR_FAILED,
        severity=Severity.WARNING,
        host="local",
        at=world.clock.now(),
        message=text("alert.detector_failed", host="local", names="unhealthy"),
    )
    await world.tracker.raise_alert(alert, Topology())
    await world.says(world.ada.chat, "local: one of my own checks is failing (unhealthy)")
    await _ask(world, "/status", "granada", "local: one of my own checks is failing (unhealthy)")


async def test_an_ambiguous_name_is_asked_about_and_the_answer_replaces_the_question(world: FaceWorld) -> None:
    question = await _ask(world, "/health api", "matches several")
    assert question.labels == ["granada/api", "malaga/api"]
    await (await world.ada.tap(question, "malaga/api")).answer()
    await world.message(
        world.ada.chat, lambda one: one.id == question.id and "malaga/api" in one.text and not one.labels
    )


async def test_a_mistyped_name_gets_the_nearest_one(world: FaceWorld) -> None:
    answer = await _ask(world, "/health postgrse", "postgres")
    assert "running" in answer.text or "Did you mean" in answer.text
    unknown = await _ask(world, "/logs <b>zzz</b> & co", "There is no stack or service")
    assert "<b>zzz</b> & co" in unknown.text


async def test_five_thousand_characters_are_answered(world: FaceWorld) -> None:
    answer = await _ask(world, "/logs " + "x" * 4900, "There is no stack or service")
    assert len(answer.text) < 300


async def test_an_unknown_command_gets_the_nearest_one(world: FaceWorld) -> None:
    answer = await _ask(world, "/restrt granada api", "Did you mean /restart?")
    assert answer.labels == ["/restart granada api"]
    await _ask(world, "/do something", "Unknown command: /do")
    await _ask(world, "/why 1", "Unknown command: /why")


async def test_a_restart_runs_and_its_result_is_reported(world: FaceWorld) -> None:
    await world.ada.say("/restart granada api")
    end = await world.says(world.ada.chat, "Restarted local/granada-api-1: it is running")
    assert end.text.startswith("✅")
    assert end.reply_to == 1
    await eventually(
        lambda: not any("⏳" in one.text for one in world.ada.chat.bot_messages), what="the waiting sign taken off"
    )


async def test_a_whole_stack_is_restarted_after_a_confirmation(world: FaceWorld) -> None:
    question = await _ask(world, "/restart granada", "whole stack granada, 2 containers")
    await (await world.ada.tap(question, "Yes, all 2")).answer()
    await world.says(world.ada.chat, "Done: 2 of 2 succeeded")
    await (await world.ada.replay(question, question.button("Yes, all 2").data)).answer()
    await world.quiet()
    assert sum("Done: 2 of 2" in one.text for one in world.ada.chat.bot_messages) == 1


async def test_stop_and_up(world: FaceWorld) -> None:
    await _ask(world, "/stop malaga web", "Stopped local/malaga-web-1")
    await world.look()
    await _ask(world, "/stop malaga web", "is not running")
    await _ask(world, "/up malaga web", "Started local/malaga-web-1")
    await world.look()
    await _ask(world, "/up malaga web", "is already running")


async def test_logs_come_folded_with_buttons(world: FaceWorld) -> None:
    for number in range(60):
        world.engine.say("granada-api-1", "stdout", f"line {number} <tag> & more".encode())
    world.engine.say("granada-api-1", "stderr", b"ERROR: it broke")
    answer = await _ask(world, "/logs granada api 10", "10 lines", "it broke")
    assert "line 59 <tag> & more" in answer.text and "line 40" not in answer.text
    await (await world.ada.tap(answer, "Only errors")).answer()
    errors = await world.message(world.ada.chat, lambda one: one.id == answer.id and "look like errors" in one.text)
    assert "line 59" not in errors.text
    await (await world.ada.tap(errors, "As file")).answer()
    file = await world.message(world.ada.chat, lambda one: one.document is not None)
    assert file.document is not None and b"line 3 <tag>" in file.document.content
    grepped = await _ask(world, "/logs granada api 50 grep line 7", "1 line")
    assert "line 7 <tag>" in grepped.text


async def test_older_log_lines(world: FaceWorld) -> None:
    for number in range(30):
        world.engine.say("granada-api-1", "stdout", f"line {number:02d}".encode())
    answer = await _ask(world, "/logs granada api 5", "line 29")
    await (await world.ada.tap(answer, "Older")).answer()
    await world.message(world.ada.chat, lambda one: one.id == answer.id and "line 24" in one.text)


async def test_metrics_come_as_a_picture(world: FaceWorld) -> None:
    await _ask(world, "/metrics granada api", "There are no measurements")
    now = world.clock.now()
    for second in range(40, 0, -10):
        sample = Sample(
            at=now - timedelta(seconds=second), cpu_pct=10.0, memory_bytes=100 << 20, memory_limit_bytes=512 << 20
        )
        await world.knowledge.series.add("local", {"granada-api-1": sample})
    await world.ada.say("/metrics granada api 1h")
    picture = await world.message(world.ada.chat, lambda one: one.photo is not None, "a picture")
    assert picture.photo is not None and picture.photo.startswith(b"\x89PNG")
    assert "memory 100 of 512 MB" in picture.text
    assert picture.labels == ["1h", "6h", "1d", "7d"]


async def test_incidents_are_listed_and_shown(world: FaceWorld) -> None:
    await _ask(world, "/incidents", "There have been no incidents")
    incident = await world.trouble()
    answer = await _ask(world, "/incidents", "Open incidents: 1")
    await (await world.ada.tap(answer, f"No. {incident.id}")).answer()
    full = await world.says(world.ada.chat, "What happened", "Detected:")
    assert "Exit code: 137" in full.text
    await _ask(world, "/incident 99", "There is no incident 99")
    await _ask(world, "/incident abc", "is not an incident number")


async def test_approve_and_deny_by_command(world: FaceWorld) -> None:
    await _ask(world, "/approve", "Nothing is waiting")
    incident = await world.trouble()
    await world.propose(incident, count=2)
    await _ask(world, "/approve", "Waiting for approval: 2")
    first = (await world.gateway.approvals.pending())[0]
    await _ask(world, f"/deny {first.id} not at night", "Denied")
    denied = await world.gateway.approvals.get(first.id)
    assert denied is not None and denied.why == "not at night"
    await _ask(world, f"/approve {incident.id}", "Approved, running it now")
    await eventually(lambda: world.danger.done == [f"{incident.id}-1"], what="the change")


async def test_ack_by_replying_to_the_card(world: FaceWorld) -> None:
    await world.trouble()
    await world.trouble("web", "malaga")
    card = await world.says(world.ada.chat, "malaga/web")
    before = world.ada.chat.last_id
    await world.ada.say("/ack", reply_to=card)
    await world.says(world.ada.chat, "Incident 2 is yours", after=before)


async def test_silence(world: FaceWorld) -> None:
    await _ask(world, "/silence", "Nothing is silenced")
    question = await _ask(world, "/silence granada", "How long")
    assert question.labels == ["30m", "1h", "4h", "1d"]
    await (await world.ada.tap(question, "4h")).answer()
    await world.says(world.ada.chat, "Silenced: granada, for 4 h")
    await _ask(world, "/silence malaga web 2h new release", "Silenced: malaga/web, for 2 h")
    listed_now = await _ask(world, "/silence", "new release")
    await (await world.ada.tap(listed_now, "End: malaga/web")).answer()
    await world.says(world.ada.chat, "malaga/web is no longer silenced")
    assert [one.target for one in await world.knowledge.silences.active(world.clock.now())] == ["granada"]


async def test_freeze_and_unfreeze(world: FaceWorld) -> None:
    await _ask(world, "/freeze moving house", "All automation is frozen")
    frozen = await world.knowledge.settings.freeze()
    assert frozen is not None and frozen.why == "moving house"
    await _ask(world, "/status", "Automation is frozen")
    await _ask(world, "/freeze", "already frozen")
    await _ask(world, "/unfreeze", "Automation resumed")
    assert await world.knowledge.settings.freeze() is None


async def test_autonomy(world: FaceWorld) -> None:
    question = await _ask(world, "/autonomy granada", "now: Guarded")
    await (await world.ada.tap(question, "Auto")).answer()
    await world.says(world.ada.chat, "granada: Auto")
    assert await world.knowledge.settings.autonomy("granada") is Autonomy.AUTO
    await _ask(world, "/autonomy malaga observe", "malaga: Observe")
    lines = await world.knowledge.audit.recent()
    assert [(one.what, one.subject) for one in lines[:2]] == [("autonomy", "malaga"), ("autonomy", "granada")]


async def test_memory_and_runbooks(world: FaceWorld) -> None:
    await _ask(world, "/memory", "Tell me what to look for")
    await _ask(world, "/memory killed out of memory", "I don't remember anything like this")
    listing = await _ask(world, "/runbooks", "problems I know")
    await (await world.ada.tap(listing, "Container killed (out of memory)")).answer()
    shown = await _ask(world, "/runbooks container oom", "Cause: memory_limit")
    assert "short interruption" in shown.text


async def test_settings(world: FaceWorld) -> None:
    overview = await _ask(world, "/settings", "Your language: English")
    await (await world.ada.tap(overview, "Español")).answer()
    await world.says(world.ada.chat, "Te hablaré en español")
    await _ask(world, "/status", "Todo bien")
    await _ask(world, "/settings quiet 23-7", "De 23:00 a 07:00")
    await _ask(world, "/settings timezone Europe/Madrid", "Europe/Madrid")
    await _ask(world, "/settings timezone Nowhere", "Escríbelo así")
    person = await world.knowledge.people.get(world.ada.id)
    assert person is not None and (person.quiet_from, person.preferences["timezone"]) == ("23:00", "Europe/Madrid")


async def test_help_is_made_from_the_table(world: FaceWorld) -> None:
    answer = await _ask(world, "/help", "What you can ask me")
    assert all(f"/{one.name} " in answer.text for one in listed_commands())
    await _ask(world, "/help logs", "/logs [service] [lines] [2h] [grep …]")
    before = world.grace.chat.last_id
    await world.grace.say("/help")
    for_a_viewer = await world.says(world.grace.chat, "Lo que puedes pedirme", after=before)
    assert "/restart" not in for_a_viewer.text


async def test_whoami_shows_the_role(world: FaceWorld) -> None:
    answer = await _ask(world, "/whoami", "1001", "Role: admin")
    assert "manage: autonomy" in answer.text


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented_in_both_languages(name: str) -> None:
    texts = load_texts()
    if not COMMANDS[name].is_listed:
        return
    for language in LANGUAGES:
        assert {f"command.{name}.about", f"command.{name}.usage"} <= texts.keys(language)
        assert len(texts.pattern(f"command.{name}.about", language)) <= 256


@pytest.mark.parametrize("name", [one.name for one in listed_commands()])
async def test_every_command_works_without_arguments(name: str, world: FaceWorld) -> None:
    await world.ada.say(f"/{name}")
    answer = await world.message(world.ada.chat, lambda one: one.from_bot)
    assert "wrong on my side" not in answer.text
