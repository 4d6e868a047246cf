"""The verbs of learning: outcome, outcomes, relabel, strategy, insights, learn."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory import findings
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count, table, time_of
from swarm_memory.doors.cli.values import names_of, object_of
from swarm_memory.exchange.lines import published

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.reports import Outcome, Recommendation

PANEL = "Learning"
ENDINGS = "success, failure, partial, timeout, conflict or unknown"
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="Rows at most.")]
Context = Annotated[
    str | None, typer.Option(metavar="JSON", help="An object that says more about the task.")
]
Score = Annotated[
    float | None, typer.Option(metavar="R", min=0, max=1, help="How good it was, 0 to 1.")
]
Source = Annotated[
    str | None,
    typer.Option(metavar="WHO", help="Who says so: explicit (as by default), check or reverted."),
]
ErrorClass = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a failure, such as timeout or not-found.")
]


@verb("outcome", PANEL)
def outcome(
    door: Door,
    task_type: Annotated[str, typer.Argument(metavar="TASK_TYPE", help="Kind of task.")],
    duration_s: Annotated[
        float, typer.Option("--duration-s", metavar="S", min=0, help="Seconds it took.")
    ],
    success: Annotated[
        bool | None, typer.Option("--success/--failure", help="How it ended.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar="HOW", help=f"Instead of those: {ENDINGS}.")
    ] = None,
    agents: Annotated[
        str | None, typer.Option(metavar="A,B", help="Who took part; by default who acts.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="The strategy that was used.")
    ] = None,
    cost: Annotated[
        float | None, typer.Option(metavar="C", min=0, help="What it cost, in any one unit.")
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(metavar="CHOICE_ID", help="The choice that was followed, see strategy."),
    ] = None,
    context: Context = None,
    outcome_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The same ID twice counts once.")
    ] = None,
    score: Score = None,
    label_source: Source = None,
    error_class: ErrorClass = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="What it was, if it is done several times.")
    ] = None,
) -> None:
    """Record how a task ended, so that the swarm learns from it.

    Without --success, --failure or --status nobody knows: to have finished is no success.

    Example: swarm-memory outcome parse --success --duration-s 3.5 --strategy parallel
    """
    who = names_of("--agents", agents) or [door.agent]
    about = object_of("--context", context)
    if success is not None and status is not None:
        raise typer.BadParameter("say --success, --failure or --status, not two of them")
    with door.manager() as manager:
        found = manager.record_task_outcome(
            task_type,
            who,
            success if status is None else status,
            duration_s,
            about,
            strategy=strategy,
            cost=cost,
            decision=decision,
            outcome_id=outcome_id,
            score=score,
            label_source=label_source,
            error_class=error_class,
            task=task,
        )
    with_strategy = f" with {found.strategy}" if found.strategy else ""
    said = f"recorded {found.task_type}{with_strategy}: {found.status} in {found.duration_s:g} s"
    door.show.result(
        found.to_dict(),
        [[found.outcome_id, found.task_type, found.status, found.strategy]],
        lambda console: console.print(cell(said)),
    )


@verb("outcomes", PANEL)
def outcomes(
    door: Door,
    task_type: Annotated[
        str | None, typer.Argument(metavar="TASK_TYPE", help="Only this kind of task.")
    ] = None,
    limit: Limit = 100,
) -> None:
    """List how tasks ended, newest first.

    In a pipe each line is id, time, task type, status, reward, who says so, strategy, seconds.

    Example: swarm-memory outcomes parse
    """
    with door.open(create=False) as swarm:
        found = swarm.outcomes.recent(task_type, limit=limit)

    def pretty(console: Console) -> None:
        if not found:
            console.print(cell("no outcomes yet: swarm-memory outcome TASK_TYPE records one"))
            return
        shown = table("when", "task", "ended", "said by", "strategy", "seconds", "id",
                      right=["when", "seconds"])  # fmt: skip
        for one in found:
            age = cell(door.show.age(one.at_ms), "dim")
            shown.add_row(age, cell(one.task_type, "bold"), cell(one.status, _style(one)),
                          cell(one.label_source, "dim"), cell(one.strategy or ""),
                          f"{one.duration_s:.3g}", cell(one.outcome_id, "dim"))  # fmt: skip
        console.print(shown)

    door.show.result(
        [one.to_dict() for one in found],
        ([o.outcome_id, time_of(o.at_ms), o.task_type, o.status, o.reward, o.label_source,
          o.strategy, o.duration_s] for o in found),
        pretty,
    )  # fmt: skip


def _style(outcome: Outcome) -> str:
    return {"success": "green", "unknown": "dim", "partial": "yellow"}.get(outcome.status, "red")


@verb("relabel", PANEL)
def relabel(
    door: Door,
    outcome_id: Annotated[str, typer.Argument(metavar="ID", help="See outcomes.")],
    status: Annotated[str, typer.Argument(metavar="HOW", help=f"{ENDINGS.rpartition(' or ')[0]}.")],
    score: Score = None,
    label_source: Source = None,
    error_class: ErrorClass = None,
) -> int:
    """Say how a task ended that was recorded before; what was learned follows.

    A label of a surer source stays, and the exit status is 1: explicit before check before
    reverted.

    Example: swarm-memory relabel t-1 failure
    """
    source = label_source or "explicit"
    with door.manager() as manager:
        found = manager.swarm.outcomes.relabel(
            outcome_id, status, score=score, label_source=source, error_class=error_class
        )
    stays = found.label_source != source
    said = "stays" if stays else "is"
    door.show.result(
        found.to_dict(),
        [[found.outcome_id, found.status, found.reward, found.label_source]],
        lambda console: console.print(
            cell(f"{found.outcome_id} {said} {found.status} ({found.label_source})")
        ),
    )
    return int(stays)


@verb("strategy", PANEL)
def strategy(
    door: Door,
    task_type: Annotated[str, typer.Argument(metavar="TASK_TYPE", help="Kind of task.")],
    candidates: Annotated[
        str | None, typer.Option(metavar="A,B", help="Choose among these; else those seen.")
    ] = None,
    context: Context = None,
    sure: Annotated[
        bool, typer.Option("--no-explore", help="Take what looks best; try nothing.")
    ] = False,
    cost_weight: Annotated[
        float, typer.Option(metavar="W", min=0, help="How much success a unit of cost is worth.")
    ] = 0.0,
    time_weight: Annotated[
        float, typer.Option(metavar="W", min=0, help="How much success a second is worth.")
    ] = 0.0,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Makes the choice repeatable.")
    ] = None,
) -> int | None:
    """Choose a strategy for a task from the outcomes so far, and log the choice.

    Give the choice_id back to outcome --decision. In a pipe the line is strategy, propensity,
    expected success rate, trials behind it and choice_id. Nothing known, nothing offered: exit 1.

    Example: swarm-memory strategy parse --candidates serial,parallel
    """
    about = (object_of("--context", context) or {}) | {"task_type": task_type}
    offered = names_of("--candidates", candidates)
    with door.manager() as manager:
        found = manager.get_coordination_strategy(
            about,
            candidates=offered,
            explore=not sure,
            cost_weight=cost_weight,
            time_weight=time_weight,
            seed=seed,
        )
    if found.strategy is None and not door.as_json:
        door.show.note(f"{found.why}; offer --candidates")
        return 1
    trials = found.evidence.get("strategy_trials", 0)
    door.show.result(
        found.to_dict(),
        [[found.strategy, found.propensity, found.expected, trials, found.choice_id]],
        lambda console: _print_strategy(found, console),
    )
    return 1 if found.strategy is None else None


def _print_strategy(found: Recommendation, console: Console) -> None:
    low, high = found.interval or (0.0, 1.0)
    console.print(cell(f"{found.task_type}: use {found.strategy}", "bold"))
    console.print(cell(f"  {found.why}"))
    console.print(
        cell(
            f"  expected success {found.expected:.0%} (95 % interval {low:.0%} to {high:.0%}), "
            f"chosen with probability {found.propensity:.2f}"
        )
    )
    shown = table(
        "strategy", "trials", "successes", "mean s", "expected", "probability",
        right=["trials", "successes", "mean s", "expected", "probability"],
    )  # fmt: skip
    shown.expand = False
    for one in found.candidates:
        seconds = one["mean_duration_s"]
        shown.add_row(
            cell(one["strategy"], "bold" if one["strategy"] == found.strategy else ""),
            str(one["trials"]),
            str(one["successes"]),
            "" if seconds is None else f"{seconds:.3g}",
            f"{one['expected']:.0%}",
            f"{one['propensity']:.2f}",
        )
    console.print(shown)
    console.print(cell(f"  then: outcome {found.task_type} … --decision {found.choice_id}", "dim"))


@verb("insights", PANEL)
def insights(
    door: Door,
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="Only one kind, such as best_strategy or pattern."),
    ] = None,
) -> None:
    """Print what the outcomes say and what to do, each with its support.

    Kinds are best_strategy, open, task_type, pattern, early_warning, change, trend,
    failure_class, failure_agent, failure_step and failures_together. In a pipe each line is kind,
    support, the interval's ends, the sentence and the action.

    Example: swarm-memory insights best_strategy
    """
    with door.manager(create=False) as manager:
        found = manager.get_learning_insights(kind)
        outcomes = manager.swarm.outcomes.count()

    def pretty(console: Console) -> None:
        for insight in found:
            console.print(cell(insight.text), cell(f"({count(insight.support, 'outcome')})", "dim"))
            if insight.action:
                console.print(cell(f"  → {insight.action}", "bold"))
        if not found:
            console.print(cell(f"{count(outcomes, 'outcome')}: too few to say anything"))

    door.show.result(
        [insight.to_dict() for insight in found],
        ([i.kind, i.support, *i.interval, i.text, i.action] for i in found),
        pretty,
    )


@verb("learn", PANEL)
def learn(
    door: Door,
    action: Annotated[
        str, typer.Argument(metavar="[report|evaluate|waiting|rebuild]", help="What to do.")
    ] = "report",
    policy: Annotated[
        str | None,
        typer.Argument(
            metavar="POLICY",
            help="For evaluate: a strategy, a JSON object of one for each task type, or model.",
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="POLICY", help="Evaluate the difference to this one.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write a page of HTML.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="Outcomes that are looked at, the last ones.")
    ] = 20_000,
) -> int:
    """Report what was learned, judge a policy by the log, list what waits, or learn anew.

    report shows reward over time, what each strategy is good at, calibration, shifts and
    patterns; with -o it is one page of HTML that needs nothing else. evaluate says what another
    policy would have reached on this log, with an interval; without enough choices whose
    probability is known it refuses and says why, exit 1. waiting lists choices that have no
    outcome yet. rebuild learns the whole log anew and is exit 1 if the model was another.

    Example: swarm-memory learn evaluate model --against parallel
    """
    if action == "report":
        return _report(door, output, limit)
    if action == "evaluate" and policy is not None:
        return _evaluate(door, policy, against, limit)
    if action == "waiting":
        return _waiting(door, limit)
    if action == "rebuild":
        return _rebuild(door)
    raise typer.BadParameter("say report, evaluate POLICY, waiting or rebuild")


def _report(door: Door, output: str | None, limit: int) -> int:
    from swarm_memory.doors.report.page import html_page
    from swarm_memory.doors.report.terminal import print_report

    with door.open(create=False) as swarm:
        observations = swarm.outcomes.observations(limit=limit)
        waiting, outcomes = swarm.outcomes.waiting(), swarm.outcomes.count()
        name = swarm.context.swarm
    found = findings.learning_report(observations, waiting, outcomes=outcomes)
    if output is not None:
        with published(os.path.abspath(output)) as file:
            file.write(html_page(found, title=f"What the swarm {name} has learned").encode())
    summary = found.summary
    figures = ["outcomes", summary.outcomes], ["label_coverage", summary.coverage]
    said = [("finding", sentence) for sentence in found.findings]
    said += [("pattern", one["text"]) for one in found.patterns]
    said += [("shift", one["text"]) for one in found.shifts]
    door.show.result(
        found.to_dict(), [*figures, *said], lambda console: print_report(found, console)
    )
    if output is not None:
        door.show.note(f"written to {output}")
    return 0


def _evaluate(door: Door, policy: str, against: str | None, limit: int) -> int:
    chosen, other = _policy(policy), None if against is None else _policy(against)
    with door.open(create=False) as swarm:
        observations = swarm.outcomes.observations(limit=limit)
    found = findings.judge(observations, chosen, other)

    def pretty(console: Console) -> None:
        if found.estimate is None:
            console.print(cell(f"{found.what}: {found.reason}"))
            return
        mean, low, high = found.estimate
        sign = "" if other is None else "+"
        interval = f"95 % interval {low:{sign}.3f} to {high:{sign}.3f}"
        console.print(cell(f"{found.what}: {mean:{sign}.3f} ({interval})", "bold"))
        for line in found.lines:
            console.print(cell(f"  {line}"))

    line = [found.what, *(found.estimate or ("refused", found.reason))]
    door.show.result(found.detail, [line], pretty)
    return int(found.estimate is None)


def _policy(text: str) -> str | dict[str, str]:
    """Return a policy: a JSON object gives a strategy for each task type, all else is a name."""
    if not text.startswith("{"):
        return text
    named = object_of("POLICY", text) or {}
    if not all(isinstance(strategy, str) for strategy in named.values()):
        raise typer.BadParameter('give a strategy for each task type: {"parse": "parallel"}')
    return named


def _waiting(door: Door, limit: int) -> int:
    with door.open(create=False) as swarm:
        found = swarm.outcomes.waiting(limit=limit)

    def pretty(console: Console) -> None:
        if not found:
            console.print(cell("every choice has an outcome"))
            return
        shown = table("chosen", "task", "strategy", "by", "choice", right=["chosen"])
        for one in found:
            age = cell(door.show.age(one.at_ms), "dim")
            shown.add_row(age, cell(one.task_type, "bold"), cell(one.strategy),
                          cell(one.author, "green"), cell(one.choice_id, "dim"))  # fmt: skip
        console.print(shown)

    door.show.result(
        [one.to_dict() for one in found],
        ([o.choice_id, time_of(o.at_ms), o.task_type, o.strategy, o.propensity] for o in found),
        pretty,
    )
    return 0


def _rebuild(door: Door) -> int:
    with door.open() as swarm:
        same = swarm.outcomes.rebuild()
        outcomes = swarm.outcomes.count()
    said = "the model was what the log says" if same else "the model was another: it is replaced"
    door.show.result(
        {"outcomes": outcomes, "same": same},
        [[outcomes, "same" if same else "replaced"]],
        lambda console: console.print(cell(f"learned {count(outcomes, 'outcome')} anew: {said}")),
    )
    return int(not same)
