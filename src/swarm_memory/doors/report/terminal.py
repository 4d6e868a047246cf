"""The learning report on a terminal."""

from __future__ import annotations

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from swarm_memory.doors.cli.show import safe
from swarm_memory.doors.report import wording
from swarm_memory.doors.report.sections import evidence, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console, RenderableType

    from swarm_memory.learning.interval import Interval
    from swarm_memory.learning.report import Judged, LearningReport

    from .wording import Json

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 60
TASK_TYPES_MAX = 4  # that fit beside each other into 80 columns
ITEMS_MAX = 10


def print_report(report: LearningReport, console: Console) -> None:
    """Print the report for a person; names in it cannot steer the terminal."""
    for part in _parts(report):
        console.print(part)


def _parts(report: LearningReport) -> list[RenderableType]:
    summary = report.summary
    if not summary.outcomes:
        say, command = wording.EMPTY
        return [Text(say), Text(f"  {command}", style="bold"), *_waiting(report)]
    parts: list[RenderableType] = [
        Text(
            f"{summary.outcomes:,} outcomes on {summary.tasks:,} tasks, {summary.coverage:.0%} with"
            f" a known label, {wording.day(summary.first_ms)} to {wording.day(summary.last_ms)}"
        )
    ]
    parts += [Text(safe(sentence), style="bold") for sentence in report.findings]
    parts += _over_time(report)
    parts += _policies(report)
    parts += _matrix(report)
    parts += _calibration(report)
    parts += _items("Shifts", report.shifts, when)
    parts += _items("Patterns", report.patterns, evidence)
    if summary.labelled and not report.patterns:
        parts.append(Text("No reliable pattern yet.", style="dim"))
    parts += _items("How it failed", report.failures, evidence)
    return parts + _waiting(report)


def _heading(text: str) -> RenderableType:
    return Padding(Text(text, style="bold underline"), (1, 0, 0, 0))


def _table(*heads: str, numbers: bool = True) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, head in enumerate(heads):
        table.add_column(Text(safe(head)), justify="right" if column and numbers else "left")
    return table


def _name(text: str) -> Text:
    return Text(safe(wording.short(text)))


def spark(values: Sequence[float]) -> str:
    """Return numbers from 0 to 1 as a line of at most sixty blocks, each the mean of its share."""
    width = min(SPARK_WIDTH, len(values))
    shares = [
        values[len(values) * i // width : len(values) * (i + 1) // width] for i in range(width)
    ]
    means = [sum(share) / len(share) for share in shares]
    return "".join(BLOCKS[min(int(max(mean, 0.0) * 8), 7)] for mean in means)


def _over_time(report: LearningReport) -> list[RenderableType]:
    points = report.over_time.points
    if not points:
        return [Text(f"Nothing to show over time: {safe(report.over_time.note)}.")]
    line = Text(f"  {spark([p.recent for p in points])}  ", style="cyan")
    line.append(f"now {points[-1].recent:.2f}, since the start {points[-1].reached:.2f}")
    return [_heading("Reward, mean of the last 50 outcomes (0 to 1)"), line]


def _policies(report: LearningReport) -> list[RenderableType]:
    known = [j for j in report.off_policy if j.value is not None]
    unknown = [j for j in report.off_policy if j.value is None]
    if not report.off_policy:
        return []
    parts: list[RenderableType] = [_heading("What other policies would have reached")]
    if known:
        table = _table("policy", "would reach", "95 %", "gain", "95 %", "rows (worth)")
        for judged in sorted(known, key=_value, reverse=True):
            table.add_row(*_policy(judged))
        parts.append(table)
    parts += [Text(f"  {safe(j.target)}: {safe(j.reason)}", style="dim") for j in unknown]
    parts += [
        Text(f"  careful, {safe(j.target)}: {safe(text)}", style="yellow")
        for j in known
        for text in j.warnings
    ]
    return parts


def _value(judged: Judged) -> float:
    return judged.value.mean if judged.value is not None else -1.0


def _policy(judged: Judged) -> list[Text]:
    value, gain = judged.value, judged.gain
    if value is None or gain is None:
        return [_name(judged.target)]
    style = "green" if gain.low > 0 else "red" if gain.high < 0 else ""
    return [
        _name(judged.target),
        Text(f"{value.mean:.2f}"),
        Text(wording.interval_said(value), style="dim"),
        Text(wording.signed(gain.mean), style=style),
        Text(f"{wording.signed(gain.low)} to {wording.signed(gain.high)}", style="dim"),
        Text(f"{judged.matching:,} ({judged.effective:,.0f})"),
    ]


def _matrix(report: LearningReport) -> list[RenderableType]:
    matrix = report.matrix
    if not matrix.cells:
        return []
    cells = {(c.strategy, c.task_type): c for c in matrix.cells}
    shown = matrix.task_types[:TASK_TYPES_MAX]
    table = _table("as logged", *(wording.short(t) for t in shown))
    for strategy in matrix.strategies:
        found = [cells.get((strategy, task_type)) for task_type in shown]
        table.add_row(
            _name(strategy),
            *(Text("–") if c is None else _rate(c.reward) for c in found),
        )
    left = len(matrix.task_types) - len(shown)
    more = [Text(f"  and {left} more task types, in the page", style="dim")] if left else []
    return [_heading("What each strategy is good at"), table, *more]


def _rate(reward: Interval) -> Text:
    text = Text(f"{reward.mean:.2f}")
    text.append(f" {reward.low:.2f}–{reward.high:.2f}", style="dim")
    return text


def _calibration(report: LearningReport) -> list[RenderableType]:
    found = report.calibration
    if found is None:
        return []
    off = found.ece.mean > found.ece_of_luck_high
    verdict = "off by more than luck explains" if off else "as far off as luck explains"
    return [
        _heading("Did what was predicted come true?"),
        Text(
            f"calibration error {found.ece.mean:.3f}, {verdict}"
            f" ({found.ece_of_luck:.3f}, in 95 of 100 logs at most {found.ece_of_luck_high:.3f});"
            f" Brier score {found.brier.mean:.3f}, of a constant {found.constant:.3f}"
        ),
    ]


def _items(
    title: str, items: Sequence[Mapping[str, Json]], said: Callable[[Mapping[str, Json]], str]
) -> list[RenderableType]:
    if not items:
        return []
    parts: list[RenderableType] = [_heading(title)]
    for item in items[:ITEMS_MAX]:
        text = Text(safe(str(item.get("text", ""))))
        text.append(f"  {said(item)}", style="dim")
        parts.append(Padding(text, (0, 0, 0, 2)))
    left = len(items) - ITEMS_MAX
    return [*parts, Text(f"  and {left} more", style="dim")] if left > 0 else parts


def _waiting(report: LearningReport) -> list[RenderableType]:
    if not report.waiting_count:
        return []
    table = _table("decision", "task", "strategy", "chosen (UTC)", numbers=False)
    for waiting in report.waiting[:ITEMS_MAX]:
        named = [_name(str(waiting.get(key, ""))) for key in ("decision", "task", "strategy")]
        table.add_row(*named, Text(wording.time_said(waiting.get("at_ms"))))
    left = report.waiting_count - min(len(report.waiting), ITEMS_MAX)
    more = [Text(f"  and {left:,} more", style="dim")] if left else []
    return [_heading("Decisions waiting for an outcome"), table, *more]
