"""Faults of the connection to Ollama and of its answers, as ModelFailed."""

from __future__ import annotations

from core.errors import ModelFailed, ModelFailure

_UNREADABLE_CALL = "error parsing tool call"
"""Ollama's words when the model's arguments are no JSON: https://github.com/ollama/ollama/issues/17638"""


class UnusableReply(ModelFailed):
    """Raised for an answer that cannot be used, if asking again with a correction may help."""

    def __init__(self, kind: ModelFailure, problem: str, *, note: str, said: str = "", shrink: bool = False) -> None:
        super().__init__(kind, problem)
        self.note = note
        """Correction sent to the model."""
        self.said = said
        """The model's own answer, sent back to it before the note."""
        self.shrink = shrink
        """True if it ran out of tokens: think less, and leave more room."""


def failure_from_status(status: int, problem: str, model: str) -> ModelFailed:
    """Return the failure for an HTTP status, or for an error line within a stream (status below 0)."""
    if _UNREADABLE_CALL in problem:
        return UnusableReply(
            ModelFailure.MALFORMED,
            "its tool call was no valid JSON",
            note="Your tool call was not valid JSON. Make one call, with short arguments on one line.",
        )
    if status == 404:
        return ModelFailed(
            ModelFailure.MISSING,
            f"Ollama has no model {model!r}; run `ollama pull {model}` on its machine",
            model=model,
        )
    if status == 503:
        return ModelFailed(ModelFailure.BUSY, "Ollama is busy; try again in a moment")
    if status in (401, 403):
        return ModelFailed(
            ModelFailure.SERVER_ERROR, f"Ollama rejects us ({status}): check user and password in `ollama.url`"
        )
    return ModelFailed(ModelFailure.SERVER_ERROR, f"Ollama reports: {problem or status}; see its log")
