"""False warnings: what agents are told of files that others have long left, counted by replay.

A recording is a list of steps in the order of time. `steps_of` makes one of recorded hook events,
`imagined` makes them up: terminals in one checkout, subagents in parallel, worktrees; each agent
edits files of its own area and some that all share, in bursts.

A warning names who is changing a file. It is late if nobody whom it names edits the file again
within half an hour. It is false if it is late and their last edit was more than five minutes ago:
they had left the file, and nothing was to be minded. A merge that is warned of comes whenever
both changes are kept, so such warnings are counted apart.
"""

import random
from collections import namedtuple

AGAIN_S, FRESH_S = 1800.0, 300.0
EDITING = {"Edit", "Write", "MultiEdit", "NotebookEdit"}
PATHS = ("file_path", "notebook_path")
# What happens: before and after an edit, the end of an agent's turn, of a session, a commit.
BEFORE, AFTER, STOP, END, COMMIT = "before", "after", "stop", "end", "commit"

Step = namedtuple("Step", "at_s session agent_id what path worktree")


class Counted(namedtuple("Counted", "edits warnings late false merges hours")):
    """How many edits, warnings, late and false ones among them, and warnings of merges."""

    def per_hour(self, name):
        return getattr(self, name) / self.hours


def replay(swarm, clock, steps):
    """Play a recording and return how often who was warned, and how often for nothing."""
    began = now = steps[0].at_s
    edits = warnings = late = false = merges = 0
    for place, step in enumerate(steps):
        clock.advance(step.at_s - now)
        now = step.at_s
        at = {"session_id": step.session, "agent_id": step.agent_id, "worktree": step.worktree}
        agent = f"{step.agent_id or 'main'}@{step.session}"
        if step.what == BEFORE:
            named = swarm.edits.others(step.path, **at)
            told = swarm.briefing.tool(
                step.session, agent, tool="Edit", paths=[step.path], agent_id=step.agent_id,
                worktree=step.worktree,
            )  # fmt: skip
            if told and any(editor.how == "same" for editor in named):
                warnings += 1
                same = [editor for editor in named if editor.how == "same"]
                left = not any(_goes_on(editor, steps[place:], now) for editor in same)
                ago_ms = min(clock.now_ms() - editor.at_ms for editor in same)
                late += left
                false += left and ago_ms > 1000 * FRESH_S
            elif told:
                merges += 1
        elif step.what == AFTER:
            edits += 1
            swarm.edits.edited([step.path], agent=agent, **at)
        elif step.what == STOP:
            swarm.edits.released(step.session, step.agent_id)
        elif step.what == COMMIT:
            swarm.edits.committed(step.session, step.worktree)
        else:
            swarm.edits.end_session(step.session)
    return Counted(edits, warnings, late, false, merges, max(now - began, 1.0) / 3600)


def _goes_on(editor, later, now):
    who = editor.session_id, editor.agent_id
    return any(
        step.what == AFTER
        and (step.session, step.agent_id or "") == who
        and step.path == editor.path
        and step.at_s <= now + AGAIN_S
        for step in later
    )


def steps_of(events, step_s=20.0):
    """Return the steps of recorded hook events, which hold no times: one each `step_s` seconds."""
    steps = []
    for number, event in enumerate(events):
        name, tool = event.get("hook_event_name"), event.get("tool_name")
        given = event.get("tool_input")
        given = given if isinstance(given, dict) else {}
        what = {"Stop": STOP, "SubagentStop": STOP, "SessionEnd": END}.get(name)
        path = next((given[field] for field in PATHS if isinstance(given.get(field), str)), None)
        if tool in EDITING and path and name in ("PreToolUse", "PostToolUse"):
            what = BEFORE if name == "PreToolUse" else AFTER
        elif name == "PostToolUse" and "git commit" in str(given.get("command", "")):
            what = COMMIT
        if what is not None and isinstance(event.get("session_id"), str):
            root = event.get("cwd", "/")
            path = path and path.removeprefix(f"{root}/")
            at = (number * step_s, event["session_id"], event.get("agent_id"))
            steps.append(Step(*at, what, path, root))
    return steps


def imagined(seed, *, terminals=2, subagents=0, worktrees=False, hours=4.0):
    """Return the steps of agents that work side by side for some hours."""
    chance = random.Random(seed)
    steps = []
    for number in range(terminals):
        tree = f"/repo-{number}" if worktrees else "/repo"
        session = f"s{number}"
        steps += _worked(chance, session, None, number, tree, 0.0, hours * 3600)
        for which in range(subagents):
            begins = chance.uniform(0, hours * 1800)
            area = number * 10 + which + 1
            ends = begins + chance.uniform(600, 2400)
            steps += _worked(chance, session, f"a{which}", area, tree, begins, ends)
    return sorted(steps, key=lambda step: step.at_s)


def _worked(chance, session, agent_id, area, tree, begins, ends):
    """Yield the steps of one agent: turns in which it edits one file after the other, in bursts."""
    at = begins + chance.uniform(5, 120)
    while at < ends:
        for _ in range(chance.randint(1, 4)):
            shared = chance.random() < 0.15
            path = f"shared/{chance.randint(0, 9)}.py" if shared else (
                f"area{area}/{chance.randint(0, 29)}.py"
            )  # fmt: skip
            for _ in range(chance.randint(1, 5)):
                yield Step(at, session, agent_id, BEFORE, path, tree)
                yield Step(at + 1, session, agent_id, AFTER, path, tree)
                at += chance.uniform(10, 60)
            at += chance.uniform(5, 90)  # reading, tests
        if agent_id is None:
            if chance.random() < 0.4:
                yield Step(at, session, None, COMMIT, None, tree)
            yield Step(at + 1, session, None, STOP, None, tree)
            at += chance.expovariate(1 / 120)  # until the next prompt
    if agent_id is not None:
        yield Step(at, session, agent_id, STOP, None, tree)
