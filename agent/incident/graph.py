"""The incident graph: detect, gather, analyse, diagnose, plan, execute, await, verify, learn; or undo; or escalate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.analyze_compose import analyze_compose
from agent.incident.nodes.await_decision import await_decision
from agent.incident.nodes.detect_incident import detect_incident
from agent.incident.nodes.diagnose import diagnose
from agent.incident.nodes.escalate import escalate
from agent.incident.nodes.execute_action import execute_action
from agent.incident.nodes.gather_context import gather_context
from agent.incident.nodes.learn import learn
from agent.incident.nodes.plan_solution import plan_solution
from agent.incident.nodes.reconsider import reconsider
from agent.incident.nodes.rollback import await_undo, rollback
from agent.incident.nodes.verify_fix import verify_fix

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

GraphNode = Callable[[IncidentGraphState, IncidentDeps], Awaitable[IncidentGraphState]]

GRAPH_NODES: dict[str, GraphNode] = {
    "detect_incident": detect_incident,
    "gather_context": gather_context,
    "analyze_compose": analyze_compose,
    "diagnose": diagnose,
    "plan_solution": plan_solution,
    "execute_action": execute_action,
    "await_decision": await_decision,
    "reconsider": reconsider,
    "verify_fix": verify_fix,
    "rollback": rollback,
    "await_undo": await_undo,
    "escalate": escalate,
    "learn": learn,
}
DIAGNOSIS_LINE = ("detect_incident", "gather_context", "analyze_compose", "diagnose", "plan_solution")


def build_graph(deps: IncidentDeps, checkpointer: BaseCheckpointSaver[Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Build the graph; importing langgraph takes a second, so do it in a thread once the bot answers."""
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(IncidentGraphState)
    for name, node in GRAPH_NODES.items():
        graph.add_node(name, _bound(node, deps))
    graph.add_edge(START, DIAGNOSIS_LINE[0])
    for here, there in pairwise(DIAGNOSIS_LINE):
        graph.add_edge(here, there)
    graph.add_conditional_edges("plan_solution", after_plan, ["execute_action", "escalate"])
    graph.add_conditional_edges("execute_action", after_submit, ["await_decision", "reconsider"])
    graph.add_conditional_edges("await_decision", after_calls, ["verify_fix", "rollback", "escalate", "reconsider"])
    graph.add_conditional_edges("reconsider", after_reconsidering, ["gather_context", END])
    graph.add_conditional_edges("verify_fix", after_verdict, ["learn", "rollback"])
    graph.add_edge("rollback", "await_undo")
    graph.add_conditional_edges("await_undo", after_undo, ["gather_context", "escalate"])
    graph.add_edge("escalate", END)
    graph.add_conditional_edges("learn", after_learning, ["verify_fix", END])
    return graph.compile(checkpointer=checkpointer)


def after_plan(state: IncidentGraphState) -> str:
    """Execute a plan; escalate without one."""
    return "execute_action" if state.get("plan") else "escalate"


def after_submit(state: IncidentGraphState) -> str:
    """Await the decision on submitted calls; reconsider a plan that became void before."""
    return "await_decision" if state.get("call_keys") else "reconsider"


def after_reconsidering(state: IncidentGraphState) -> str:
    """Gather anew unless the incident is over."""
    return "__end__" if state.get("is_over", True) else "gather_context"


def after_calls(state: IncidentGraphState) -> str:
    """Verify calls that worked, undo failed ones, escalate those refused or not decided."""
    routes = {"ok": "verify_fix", "unknown": "verify_fix", "failed": "rollback", "withdrawn": "reconsider"}
    return routes.get(state.get("calls", "withdrawn"), "escalate")


def after_verdict(state: IncidentGraphState) -> str:
    """Learn from a repair that held; undo one that failed."""
    return "learn" if state.get("verdict") == "held" else "rollback"


def after_learning(state: IncidentGraphState) -> str:
    """Verify again when the trouble came back before the incident was closed; else end."""
    return "verify_fix" if state.get("is_back") else "__end__"


def after_undo(state: IncidentGraphState) -> str:
    """Try again with new evidence while attempts are left; escalate otherwise or when the undo failed."""
    if state.get("undo") not in (None, "ok"):
        return "escalate"
    return "gather_context" if state.get("attempt", 0) < state.get("attempts_limit", 1) else "escalate"


def _bound(node: GraphNode, deps: IncidentDeps) -> Any:
    async def run(state: IncidentGraphState) -> IncidentGraphState:
        return await node(state, deps)

    return run
