"""Answers free text in Spanish and English: plain rules for what is common, a model that may only look for the rest."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from agent.chat.chat_deps import ChatDeps, QuestionContext, visible_inventory
from agent.chat.chat_history import ChatHistory, ChatTurn
from agent.chat.conversation import AnswerMessage, AnswerPart, ChatQuestion, ProposeCommand, RunCommand
from agent.chat.intents import CHANGE_INTENTS, Intent, Interpretation, interpret_question
from agent.chat.model_answer import AnswerStream, ModelAnswerer, no_answer_message
from agent.chat.rule_answers import answer_by_rule, targets_meant
from core.errors import ModelFailed
from core.incidents.incident import Incident
from core.language_model import LanguageModel
from core.monitoring.inventory import title
from core.tasks import Tasks
from core.text import text

__all__ = ["ChatDeps", "RulesFirstDialogue"]


class RulesFirstDialogue:
    """Implements `Dialogue`, rules first. It never acts: a request to act is answered with a command to tap."""

    def __init__(self, parts: ChatDeps) -> None:
        self._parts = parts
        self._turns = ChatHistory()

    async def answer(self, question: ChatQuestion) -> AsyncGenerator[AnswerPart, None]:
        """Yield the answer's parts as they are made; closing it (`contextlib.aclosing`) stops the model."""
        asked = await self._asked(question)
        understood = interpret_question(question.text, asked.inventory)
        if understood is not None and self._fits_a_rule(understood, asked):
            for part in await self._by_rule(asked, understood):
                yield part
        elif self._parts.model is None:
            for part in await self._without_model(asked, understood, None):
                yield part
        else:
            async for part in self._by_model(asked, understood, self._parts.model):
                yield part

    async def _asked(self, question: ChatQuestion) -> QuestionContext:
        inventory = visible_inventory(self._parts, question.actor)
        subject = self._turns.subject(_key(question), self._parts.clock.now())
        incident = await self._replied_to(question)
        return QuestionContext(
            question=question, inventory=inventory, incident=incident, subject=subject, parts=self._parts
        )

    async def _replied_to(self, question: ChatQuestion) -> Incident | None:
        if question.incident_id is None:
            return None
        found = await self._parts.incidents.get(question.incident_id)
        return found if found is not None and self._parts.sees(question.actor, found.stack) else None

    def _fits_a_rule(self, understood: Interpretation, asked: QuestionContext) -> bool:
        if understood.intent is Intent.DECIDES:
            return asked.incident is not None
        return understood.is_sure

    async def _by_rule(self, asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
        said = await answer_by_rule(asked, understood)
        targets = targets_meant(asked, understood)
        subject = title(targets[0]) if len(targets) == 1 else asked.incident.target if asked.incident else ""
        self._remember(asked, " ".join(_told(asked, part) for part in said), subject)
        return said

    async def _without_model(
        self, asked: QuestionContext, understood: Interpretation | None, failure: ModelFailed | None
    ) -> list[AnswerPart]:
        """Answer by a rule if any applies, else explain why there is no answer."""
        is_wish = understood is not None and understood.intent in CHANGE_INTENTS
        if (
            understood is not None
            and (is_wish or targets_meant(asked, understood))
            and understood.intent is not Intent.DECIDES
        ):
            return await self._by_rule(asked, understood)
        return [no_answer_message(failure)]

    async def _by_model(
        self, asked: QuestionContext, understood: Interpretation | None, model: LanguageModel
    ) -> AsyncGenerator[AnswerPart, None]:
        history = self._turns.messages(_key(asked.question), self._parts.clock.now())
        parts = AnswerStream()
        inquiry = ModelAnswerer(asked, model, history, parts)
        outcome: list[ModelFailed | None] = []

        async def inquire() -> None:
            try:
                outcome.append(await inquiry.run())
            finally:
                parts.close()

        async with Tasks() as tasks:
            tasks.start(f"question in {asked.question.chat}", inquire)
            async for part in parts:
                yield part
        if not outcome:
            yield AnswerMessage(message=text("dialogue.broke"))
        elif (failure := outcome[0]) is not None:
            for part in await self._without_model(asked, understood, failure):
                yield part
        else:
            self._remember(asked, inquiry.answer, asked.subject)

    def _remember(self, asked: QuestionContext, answered: str, subject: str) -> None:
        redact = self._parts.redact
        turn = ChatTurn(
            at=self._parts.clock.now(), asked=redact(asked.question.text[:4000]), answered=answered, subject=subject
        )
        self._turns.add(_key(asked.question), turn)


def _key(question: ChatQuestion) -> str:
    return f"{question.chat} {question.actor.id}"


def _told(asked: QuestionContext, part: AnswerPart) -> str:
    """Return the part's words for the conversation history."""
    if isinstance(part, AnswerMessage):
        return asked.say(part.message)
    if isinstance(part, RunCommand):
        return f"(showed /{part.name} {part.arguments})"
    if isinstance(part, ProposeCommand):
        return f"(offered a button for /{part.name} {part.arguments})"
    return ""
