"""Concludes a deploy: judges its version, undoes a bad rollback or update, and makes the result of its call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from agent.deploys.deploy_verdict import running_image_ids
from core.actions.calls import Call, CallRecord, CallState
from core.actions.catalog import JsonObject, Outcome
from core.actions.gateway import ActionGateway, call_description
from core.actions.policy import Actor, ActorKind
from core.deployments.deploys import Deploy, DeployKind, DeployPhase, Versions, VersionVerdict
from core.error_text import problem_of
from core.errors import GuardianError
from core.monitoring.inventory import Container
from core.text import Text, text

DEPLOY_UNDO_ACTOR = Actor(kind=ActorKind.RUNBOOK, id="deploy", name="deploy")
"""The actor that undoes a bad rollback or update; it is allowed to, as it only reverts something approved."""
_OUTCOMES = {
    DeployPhase.GOOD: str(Outcome.OK),
    DeployPhase.UNKNOWN: str(Outcome.UNKNOWN),
    DeployPhase.NEVER: "never",
}
_GOES_BACK = (DeployKind.ROLLBACK, DeployKind.UPDATE)
_WENT_WRONG = (DeployPhase.FAILED, DeployPhase.CRASHED)
_VERDICTS = {
    DeployPhase.GOOD: VersionVerdict.GOOD,
    DeployPhase.FAILED: VersionVerdict.BAD,
    DeployPhase.CRASHED: VersionVerdict.BAD,
}
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeployConcluder:
    """Judges versions and undoes deploys that ended badly."""

    versions: Versions
    gateway: ActionGateway
    redact: Callable[[str], str]

    async def judged(self, deploy: Deploy, containers: tuple[Container, ...]) -> Deploy:
        """Record the verdict and the running images at the version; returns the deploy with its actual version."""
        verdict = _VERDICTS.get(deploy.phase)
        if verdict is None or deploy.version_id is None:
            return deploy
        ran = running_image_ids(containers) if deploy.phase is not DeployPhase.FAILED else {}
        await self.versions.judge(
            deploy.version_id, verdict, commit=deploy.commit, commit_message=deploy.commit_message, image_ids=ran
        )
        known = await self.versions.get(deploy.version_id)
        newest = await self.versions.of(deploy.managed_id, 1)
        if known is not None and newest and newest[0].digest == known.digest:
            return replace(deploy, version_id=newest[0].id)
        return deploy

    async def worded(self, deploy: Deploy) -> Deploy:
        """Return the deploy with a verdict that says what happens next."""
        record = await self.gateway.ledger.get(deploy.key)
        if record is not None and record.call.undo_of is not None:
            if deploy.phase is DeployPhase.GOOD and deploy.message is not None:
                return replace(deploy, message=Text("deploys.good_undone", deploy.message.values))
            return _adding(deploy, text("deploys.person_must_look")) if deploy.phase.is_bad else deploy
        if record is not None and self._goes_back(deploy, record):
            return _adding(deploy, text("deploys.goes_back"))
        return deploy

    async def taken_back(self, deploy: Deploy) -> Text | None:
        """Submit the undo of a rollback or update that went wrong; returns a sentence when it may not run.

        Repeating it is harmless: the undo has its own key.
        """
        record = await self.gateway.ledger.get(deploy.key)
        if record is None or not self._goes_back(deploy, record):
            return None
        try:
            receipt = await self.gateway.submit(_undo(record.call))
        except GuardianError as error:
            log.warning("a deploy could not be taken back", deploy=deploy.key, error=str(error))
            return text("deploys.cannot_go_back", problem=problem_of(error, self.redact))
        if receipt.state is CallState.ASKED:
            return text("deploys.asks_back")
        if receipt.state is CallState.DENIED:
            reason = receipt.verdict.reason if receipt.verdict else receipt.result.message if receipt.result else ""
            return text("deploys.cannot_go_back", problem=reason)
        return None

    async def goes_back(self, deploy: Deploy) -> bool:
        """Return whether `taken_back` submits its undo."""
        record = await self.gateway.ledger.get(deploy.key)
        return record is not None and self._goes_back(deploy, record)

    def _goes_back(self, deploy: Deploy, record: CallRecord) -> bool:
        if deploy.phase not in _WENT_WRONG or deploy.what not in _GOES_BACK or record.call.undo_of is not None:
            return False
        return (
            record.call.action in self.gateway.catalog and self.gateway.catalog.get(record.call.action).undo is not None
        )


def deploy_call_result(deploy: Deploy) -> JsonObject:
    """Return the result for the call that ordered it: `outcome`, `message`, `data`."""
    says_so = deploy.message or text("deploys.not_recorded")
    return {
        "outcome": _OUTCOMES.get(deploy.phase, str(Outcome.FAILED)),
        "message": says_so.to_json(),
        "data": {
            "deploy": deploy.key,
            "stack": deploy.stack,
            "phase": str(deploy.phase),
            "deployment_id": deploy.deployment_id,
            "commit": deploy.commit,
            "version": deploy.version_id,
            "error": deploy.error_line,
            "error_class": deploy.error_class,
            "crashed": list(deploy.crashed),
            "window_s": deploy.window_s,
            "good_since": deploy.good_since.isoformat() if deploy.good_since is not None else None,
            "took_s": round(((deploy.over_at or deploy.ordered_at) - deploy.ordered_at).total_seconds(), 1),
        },
    }


def unrecorded_deploy_result() -> JsonObject:
    """Return the result for a call whose deploy was never recorded: nothing was ordered."""
    return {"outcome": "never", "message": text("deploys.not_recorded").to_json(), "data": {}}


def with_second_sentence(deploy: Deploy, second: Text) -> Deploy:
    """Return the deploy with another second sentence in its verdict."""
    said = deploy.message
    first = said.values["first"] if said is not None and said.key == "deploys.two" else said
    return replace(deploy, message=text("deploys.two", first=first or "", second=second))


def _adding(deploy: Deploy, second: Text) -> Deploy:
    return replace(deploy, message=text("deploys.two", first=deploy.message or "", second=second))


def deploy_undo_key(call_key: str) -> str:
    """Return the key of the call that undoes a deploy."""
    return f"{call_key}:undo"


def _undo(call: Call) -> Call:
    return replace(
        call,
        key=deploy_undo_key(call.key),
        actor=DEPLOY_UNDO_ACTOR,
        undo_of=call.key,
        needs=(),
        retries=0,
        basis="",
        message=text("agent.undo", what=call_description(call)),
    )
