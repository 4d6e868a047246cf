"""Labelling: outcomes of what agents did through hooks, and how they ended as far as that shows.

When a turn is over each subagent that ended in its session, in the background too, and each task
that was completed is recorded as an outcome once, with the label that what was done around it
gives: a check that ran after it, a revert, or none. A later turn may know more, and revises it.
A turn that was interrupted has no end: what was done in it is labelled by the session's next turn
that ends, and if there is none, once the session has ended or lapsed, by whoever's turn ends next
or by the daily duties (`catch_up`); not by SessionEnd itself, which has no time for it.
Learning is left to whoever asks next: a hook does not load numpy.
"""

from __future__ import annotations

from swarm_memory.errors import NotFoundError
from swarm_memory.identity import agent_name
from swarm_memory.lean import suppress
from swarm_memory.learning.observation import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.learning.labels import Label
    from swarm_memory.swarm import Swarm

SETTLED_MAX = 20  # of a session, the last ones: older work has been looked at often enough
CAUGHT_UP_MAX = 8  # sessions that one call looks at, and those that ended in the same moment
CAUGHT_UP_OLD_MS = 7 * 86_400_000  # of older ones the operations are gone
CAUGHT_UP = "labelled_ms"  # the fact up to when sessions that ended have been looked at
AGENT_TASK, TASK = "agent", "task"  # where nothing tells the kind of task
MAIN = "main"


def turn_ended(swarm: Swarm, session_id: str, session: str) -> None:
    """Learn and label what a session did, and sessions that ended without the end of a turn.

    Args:
        session: The short name of the session.
    """
    swarm.practice.turn_ended(session_id, session)
    settle(swarm, session_id, session)
    catch_up(swarm)


def catch_up(swarm: Swarm) -> int:
    """Label what was done in sessions that have ended since this was called last.

    Each is looked at once, up to 8 of them a call, the longest ended first. Two callers at once
    may both look at one: what they enter is the same.

    Returns:
        How many sessions were looked at.
    """
    ended = swarm.sessions.ended_since(CAUGHT_UP, limit=CAUGHT_UP_MAX, old_ms=CAUGHT_UP_OLD_MS)
    for session in ended:
        with suppress(NotFoundError):  # forgotten in this moment
            # In its name, as its own turn would have: so that it is forgotten with it.
            its = swarm.as_agent(agent_name(session.short), session=session.session_id)
            its.practice.turn_ended(session.session_id, session.short)
            settle(its, session.session_id, session.short)
    if ended:
        swarm.sessions.seen_ended(CAUGHT_UP, ended[-1])
    return len(ended)


def settle(swarm: Swarm, session_id: str, session: str) -> int:
    """Record or revise the outcomes of a session's subagents; return how many changed.

    Args:
        session: The short name of the session.
    """
    practice, changed = swarm.practice, 0
    runs = practice.runs_of(session)[-SETTLED_MAX:]
    agents = {agent.agent_id: agent for agent in swarm.sessions.agents(session_id)} if runs else {}
    labels = practice.labels_for(session_id) if runs else {}
    for run in runs:
        agent = agents.get(run.agent_id)
        if agent is None or agent.ended_ms is None:
            continue  # it runs in the background: its call has returned, it has not ended
        seconds = (agent.ended_ms - agent.started_ms) / 1000
        kind = run.agent_type or agent.agent_type or MAIN
        changed += _say(
            swarm,
            f"agent/{session}/{run.agent_id}",
            labels[run.agent_id],
            task_type=run.task or AGENT_TASK,
            strategy=f"{kind}/{run.model}" if run.model else kind,
            agents=[kind],
            seconds=seconds,
            cost=run.tokens,
        )
    return changed + _revise_tasks(swarm, session_id, session)


def completed(swarm: Swarm, session_id: str, session: str, task_id: str, agent: str) -> None:
    """Record the outcome of a task that was completed; that it was is no success."""
    label, seconds = swarm.practice.task_label(session_id, task_id)
    _say(
        swarm,
        f"task/{session}/{task_id}",
        label,
        task_type=TASK,
        strategy=agent.partition(":")[2].partition("@")[0].partition("#")[0] or MAIN,
        agents=[agent],
        seconds=seconds,
        cost=None,
    )


def _revise_tasks(swarm: Swarm, session_id: str, session: str) -> int:
    changed, prefix = 0, f"task/{session}/"
    for outcome in swarm.outcomes.recent(TASK, limit=SETTLED_MAX):
        if outcome.outcome_id.startswith(prefix):
            task_id = outcome.outcome_id.removeprefix(prefix)
            label, _ = swarm.practice.task_label(session_id, task_id)
            changed += _relabel(swarm, outcome.outcome_id, label)
    return changed


def _say(
    swarm: Swarm,
    outcome_id: str,
    label: Label,
    *,
    task_type: str,
    strategy: str,
    agents: list[str],
    seconds: float,
    cost: float | None,
) -> int:
    """Record an outcome, or revise what is known of it; return 1 if anything changed."""
    with suppress(NotFoundError):
        swarm.outcomes.get(outcome_id)
        return _relabel(swarm, outcome_id, label)
    known = label.status != UNKNOWN
    swarm.outcomes.record(
        task_type,
        agents,
        label.status if known else None,
        max(0.0, seconds),
        strategy=strategy,
        cost=cost,
        outcome_id=outcome_id,
        score=label.reward,
        label_source=label.label_source if known else None,
        signals={"label": label.why, "confidence": label.confidence},
        learn=False,
    )
    return 1


def _relabel(swarm: Swarm, outcome_id: str, label: Label) -> int:
    if label.status == UNKNOWN or label.reward is None:
        return 0
    before = swarm.outcomes.get(outcome_id)
    after = swarm.outcomes.relabel(
        outcome_id, label.status, score=label.reward, label_source=label.label_source, learn=False
    )
    return int(before != after)
