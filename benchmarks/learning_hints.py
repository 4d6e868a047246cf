"""Hints from recorded operations: how many name the fix that was used later

Sessions are replayed through the door of the hooks in their order, and each hint that is shown is
held against what was done later in the same session: a hint is right if the command passed later
and what it names was changed or run before that (or, where it says that nothing has to be changed,
if nothing was). Where the command never passed in that session nobody knows; that counts as wrong.

    python benchmarks/learning_hints.py                    generated sessions
    python benchmarks/learning_hints.py --seeds=100-105    of projects that nothing was tuned on
    python benchmarks/learning_hints.py FOLDER             each *.jsonl below it, the oldest first:
                                                           transcripts, or streams of hook events
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from hint_sessions import Project, recorded
from swarm_memory import Swarm
from swarm_memory.doors.hooks import answer
from swarm_memory.invocations import invocations_of, telling
from swarm_memory.learning.operations import is_generic, trials_from
from swarm_memory.verdicts import text_of, verdict_of
from swarm_memory.wording import tokens

SEEDS = range(6)
SESSIONS = 30
PRECISION_MIN, WRONG_MAX, TOKENS_MAX = 0.8, 1.0, 60
SHOWN = re.compile(
    r"times (?P<command>`[^`]*`|\"[^\"]*\") failed like this here, "
    r"(?:(?:editing|running) (?P<fixes>.*) fixed it|(?P<instead>.*) worked instead"
    r"|it passed when run again unchanged)"
)
QUOTED = re.compile(r"`([^`]*)`|\"([^\"]*)\"")


class Replay:
    """A project of its own, into which sessions are replayed."""

    def __init__(self, root: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="bench-hints-")
        self.root = root  # of the project, as the sessions name it
        os.makedirs(f"{self.folder}/.git")
        Path(self.folder, ".git", "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")
        home = f"{self.folder}/home"
        self.environment = {"CLAUDE_PROJECT_DIR": self.folder, "HOME": home}
        self.swarm: Swarm | None = None
        self.spent_s: list[float] = []

    @contextmanager
    def lend(self, event, place, environment):
        if self.swarm is None:
            self.swarm = Swarm.open(place.url, durability="relaxed")
        yield self.swarm

    def say(self, event: dict) -> str:
        raw = json.dumps(event).replace(self.root, self.folder).encode()
        began = time.perf_counter()
        said = answer(raw, None, self.environment, self.lend)
        if event["hook_event_name"] == "PostToolUseFailure":
            self.spent_s.append(time.perf_counter() - began)
        return json.loads(said)["hookSpecificOutput"].get("additionalContext", "") if said else ""

    def trials(self):
        record = self.swarm and self.swarm.records.get("memory/practice/trials")
        return trials_from(record.value) if record else []

    def close(self) -> None:
        if self.swarm is not None:
            self.swarm.close()
        shutil.rmtree(self.folder)


def replayed(replay: Replay, events: list[dict], counts: Counter) -> list[tuple[str, str]]:
    """Replay one session; return each hint with what became of it: right, wrong or unknown."""
    found = []
    for number, event in enumerate(events):
        event = {"cwd": replay.root} | event
        known = event.pop("known_fix", None)
        failed = how_it_ended(event) is False and event["hook_event_name"].startswith("PostToolUse")
        if failed:
            counts["failures"] += 1
            last = last_fix(replay, event)
            if last is not None:
                verdict = judged(last, command_of(event), events[number + 1 :], replay.root)
                counts[f"last fix {verdict}"] += 1
        if known is not None:
            verdict = judged(known, command_of(event), events[number + 1 :], replay.root)
            counts[f"known fix {verdict}"] += 1
        text = replay.say(event)
        shown = SHOWN.search(text)
        if shown is not None:
            assert tokens(text) <= TOKENS_MAX, text
            verdict = judged(fixes_of(shown), command_of(event), events[number + 1 :], replay.root)
            found.append((text, verdict))
    return found


def fixes_of(shown: re.Match) -> tuple[str, list[str]]:
    """Return the kind of a hint and the names in it."""
    if shown["instead"]:
        names, kind = shown["instead"], "instead"
    else:
        names, kind = shown["fixes"] or "", "changed" if shown["fixes"] else "again"
    return kind, [(a or b).lstrip("…") for a, b in QUOTED.findall(names)]


def last_fix(replay: Replay, event: dict) -> tuple[str, list[str]] | None:
    """Return what somebody would say who only knows what mended this command's failure last."""
    from swarm_memory.failures import failure_of

    said = event.get("error") or text_of(event.get("tool_response"))
    error, command = failure_of(said), command_of(event)
    alike = [
        t
        for t in replay.trials()
        if t.gone and t.error == error and (t.command == command or not is_generic(error))
    ]
    if not alike:
        return None
    changes = [change.partition(":") for change in alike[-1].changes]
    if changes[0][0] == "again":
        return "again", []
    return "instead" if changes[0][0] == "instead" else "changed", [changes[-1][2]]


def judged(hint: tuple[str, list[str]], command: str, later: list[dict], root: str) -> str:
    """Return whether a hint names what was done before the command passed."""
    kind, names = hint
    done: list[str] = []
    for event in later:
        ended = how_it_ended(event)
        path = (event.get("tool_input") or {}).get("file_path")
        if event.get("tool_name") in ("Edit", "Write", "MultiEdit") and ended:
            done.append(str(path).removeprefix(root).lstrip("/"))
        if event.get("tool_name") != "Bash" or not ended:
            continue
        ran = command_of(event)
        form = form_of(event)
        if kind == "instead" and form in names:
            return "right"
        if ran == command:
            if kind == "again":
                return "wrong" if done else "right"
            return "right" if any(d.endswith(n) for d in done for n in names) else "wrong"
        if ran and not ran.startswith(("git", "grep", "ls", "cat")):
            done.append(form)
    return "unknown"


def how_it_ended(event: dict) -> bool | None:
    """Return whether an operation succeeded; None where it does not say so."""
    if event["hook_event_name"] == "PostToolUseFailure":
        return None if event.get("is_interrupt") or event.get("tool_name") != "Bash" else False
    if event["hook_event_name"] != "PostToolUse":
        return None
    line = (event.get("tool_input") or {}).get("command")
    if event.get("tool_name") == "Bash" and isinstance(line, str):
        verdict = verdict_of(text_of(event.get("tool_response")))
        one = telling(invocations_of(line))
        if one is not None and one.kind in ("test", "lint", "build"):
            if verdict is not None:
                return verdict == "passed"
            if one.masked:
                return None
    return True


def command_of(event: dict) -> str:
    line = (event.get("tool_input") or {}).get("command")
    one = telling(invocations_of(line)) if isinstance(line, str) else None
    return "" if one is None else one.name


def form_of(event: dict) -> str:
    one = telling(invocations_of(event["tool_input"]["command"]))
    return "" if one is None else one.form


def generated(seeds=SEEDS, sessions: int = SESSIONS) -> list[tuple[str, list[list[dict]]]]:
    """Return projects with their sessions, in order."""
    made = []
    for seed in seeds:
        project = Project(seed)
        made.append(("$PROJECT", [project.session(n, sessions) for n in range(sessions)]))
    return made


def from_folder(folder: str) -> list[tuple[str, list[list[dict]]]]:
    """Return the recorded sessions of a folder by project, the oldest first."""
    projects: dict[str, list[list[dict]]] = {}
    for path in sorted(Path(folder).rglob("*.jsonl"), key=lambda p: (p.stat().st_mtime, p)):
        events = recorded(path)
        if events:
            projects.setdefault(str(events[0].get("cwd") or "/"), []).append(events)
    return list(projects.items())


def measure(projects: list[tuple[str, list[list[dict]]]], *, show: bool = False) -> dict:
    """Replay all sessions; return counts of hints, sessions and what the hints were worth."""
    counts: Counter = Counter()
    worst, spent_s = 0, []
    for root, sessions in projects:
        replay = Replay(root)
        try:
            for events in sessions:
                hints = replayed(replay, events, counts)
                counts.update(verdict for _, verdict in hints)
                counts["sessions"] += 1
                worst = max(worst, sum(v != "right" for _, v in hints))
                for text, verdict in hints if show else ():
                    print(f"    {verdict:8} {text}")
            spent_s += replay.spent_s
        finally:
            replay.close()
    return {**counts, "worst": worst, "spent_s": sorted(spent_s)}


def run() -> list[dict[str, object]]:
    return figures(measure(generated()), "generated sessions")


def figures(counts: dict, where: str) -> list[dict[str, object]]:
    """Return the figures of a replay as `run.py` writes them."""
    hints = sum(counts.get(name, 0) for name in ("right", "wrong", "unknown"))
    right = counts.get("right", 0) / hints if hints else 0.0
    settled = counts.get("right", 0) + counts.get("wrong", 0)
    of_settled = counts.get("right", 0) / settled if settled else 0.0
    last = {n: counts.get(f"last fix {n}", 0) for n in ("right", "wrong", "unknown")}
    named = last["right"] / max(1, sum(last.values()))
    known = {n: counts.get(f"known fix {n}", 0) for n in ("right", "wrong", "unknown")}
    knowing = sum(known.values())
    spent = counts["spent_s"]
    median_ms = 1000 * spent[len(spent) // 2] if spent else 0.0
    note = (
        f"{hints} hints on {counts.get('failures', 0)} failures in {counts.get('sessions', 0)}"
        f" {where}: {counts.get('right', 0)} right, {counts.get('wrong', 0)} wrong,"
        f" {counts.get('unknown', 0)} never passed (without these {of_settled:.2f});"
        " naming the last fix each time would be right"
        f" in {named:.2f} of {sum(last.values())}"
    )
    if knowing:
        share = known["right"] / knowing
        passed = known["right"] / max(1, known["right"] + known["wrong"])
        note += (
            f"; who knew each fix beforehand would be right in {share:.2f} of {knowing}"
            f" (without those that never passed {passed:.2f})"
        )
    wrong = (hints - counts.get("right", 0)) / max(1, counts.get("sessions", 0))
    return [
        {
            "what": "hints that name the fix used later",
            "value": f"{right:.2f}",
            "goal": f"≥ {PRECISION_MIN}",
            "reached": right >= PRECISION_MIN if hints else None,
            "note": note,
        },
        {
            "what": "wrong hints in a session, at most",
            "value": f"{counts['worst']}",
            "goal": f"≤ {WRONG_MAX:g}",
            "reached": counts["worst"] <= WRONG_MAX,
            "note": f"{wrong:.3f} in the mean",
        },
        {
            "what": "hook after a failure, in a process that is there, median",
            "value": f"{median_ms:.1f} ms",
            "goal": "",
            "reached": None,
            "note": "",
        },
    ]


def main() -> int:
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    known = bool(asked) and not asked.startswith("--seeds=")
    if known:
        projects = from_folder(asked)
    else:
        first, _, last = asked.removeprefix("--seeds=").partition("-")
        projects = generated(range(int(first), int(last) + 1) if last else SEEDS)
    if not projects:
        print(f"no sessions in {asked}")
        return 2
    where = f"recorded sessions of {len(projects)} projects" if known else "generated sessions"
    for figure in figures(measure(projects, show=known), where):
        print(f"{figure['what']}: {figure['value']} ({figure['goal']}) {figure['note']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
