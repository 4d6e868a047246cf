"""The sections of the report's page, each None where there is nothing to say."""

from __future__ import annotations

from html import escape

from swarm_memory.doors.report import svg, wording
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swarm_memory.learning.report import Cell, Judged, LearningReport, Matrix, OverTime

    from .wording import Json

WIDE, NARROW, SQUARE = 960, 380, 380
TABLE_ROWS = 12  # of the points of a plot
TONES = {"success": "--green", "failure": "--red", "timeout": "--amber", "conflict": "--blue"}
TONES |= {"said so": "--green", "a check ran": "--blue", "reverted or corrected": "--amber"}


class Section(NamedTuple):
    """One part of the page: its anchor, its heading and its HTML."""

    name: str
    title: str
    body: str


def all_of(report: LearningReport) -> list[Section | None]:
    """Return the sections in the order of the page."""
    made: list[Callable[[LearningReport], Section | None]] = [
        _over_time,
        _policies,
        _matrix,
        _calibration,
        _shifts,
        _patterns,
        _failures,
        _labels,
        _waiting,
    ]
    return [make(report) for make in made]


def table(caption: str, heads: Sequence[str], rows: Sequence[str], kind: str = "") -> str:
    """Return a table that scrolls sideways, by keyboard too; `heads` and `rows` are HTML."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f'<table class="{kind}"><caption>{escape(caption)}</caption><thead><tr>{"".join(heads)}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def head(text: str, kind: str = "") -> str:
    return f'<th scope="col" class="{kind}">{escape(text)}</th>'


def row(name: str, *cells: str) -> str:
    return f'<tr><th scope="row">{escape(wording.short(name))}</th>{"".join(cells)}</tr>'


def cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{escape(text)}</td>'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""


def _more(what: str, body: str) -> str:
    return f"<details><summary>{escape(what)}</summary>{body}</details>"


def _over_time(report: LearningReport) -> Section | None:
    over_time = report.over_time
    title = "Reward over time"
    if not over_time.points:
        return Section("reward", title, _note(f"Nothing to show: {over_time.note}."))
    pictures = "".join(
        f'<div class="{kind}">'
        + svg.reward_over_time(over_time, report.shifts, width=width, name=f"reward-{kind}")
        + "</div>"
        for kind, width in (("wide", WIDE), ("narrow", NARROW))
    )
    note = f"No line for the best fixed strategy: {over_time.note}." if over_time.note else ""
    body = _legend(report) + pictures + _note(note)
    return Section("reward", title, body + _more("The numbers", _points(over_time)))


def _legend(report: LearningReport) -> str:
    def entry(kind: str, text: str) -> str:
        sample = f'<svg viewBox="0 0 26 10" aria-hidden="true"><path class="{kind}" d="M0 5h26"/>'
        return f"<li>{sample}</svg>{escape(text)}</li>"

    entries = [entry("reached", "mean so far"), entry("recent", "mean of the last 50")]
    if report.over_time.best is not None:
        best = wording.short(report.over_time.best)
        entries.append(entry("best", f"always {best} (estimated, with 95 % band)"))
    if report.shifts:
        entries.append(entry("shift", "a shift"))
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _points(over_time: OverTime) -> str:
    points = over_time.points
    step = max(1, -(-len(points) // TABLE_ROWS))
    shown = [*points[:-1:step], points[-1]]
    rows = [
        row(
            f"{p.outcomes:,}",
            cell(wording.time_said(p.at_ms)),
            cell(f"{p.reached:.2f}", "num"),
            cell(f"{p.recent:.2f}", "num"),
            cell("" if p.best is None else f"{p.best.mean:.2f}", "num"),
            cell("" if p.best is None else wording.interval_said(p.best), "num"),
        )
        for p in shown
    ]
    heads = [head("outcomes"), head("until (UTC)"), head("mean so far", "num")]
    heads += [head("last 50", "num"), head("best fixed", "num"), head("95 % interval", "num")]
    return table("Mean reward over time", heads, rows)


def _policies(report: LearningReport) -> Section | None:
    if not report.off_policy:
        return None
    reward = report.summary.reward
    logged = None if reward is None else reward.mean
    judged = sorted(report.off_policy, key=lambda j: -1.0 if j.value is None else -1 - j.value.mean)
    judged = [j for j in judged if j.value is not None] + [j for j in judged if j.value is None]
    heads = [head("policy"), head("would reach", "num"), head("0 … 1, | what was done")]
    heads += [head("gain", "num"), head("SNIPS", "num"), head("matching", "num")]
    heads.append(head("naive mean", "num"))
    body = _note(wording.POLICY_NOTE)
    body += table("Policies on this log", heads, [_policy(j, logged) for j in judged])
    body += _note(
        "Of several policies the best one is also the luckiest. The naive mean of the matching"
        " rows is biased wherever the task decided who got which strategy."
    )
    warnings = [f"{j.target}: {text}" for j in judged for text in j.warnings]
    body += "".join(_note(f"Careful, {text}.") for text in warnings)
    return Section("policies", "What other policies would have reached", body)


def _policy(judged: Judged, logged: float | None) -> str:
    if judged.value is None or judged.gain is None or judged.snips is None:
        return row(judged.target, f'<td colspan="6" class="none">{escape(judged.reason)}</td>')
    gain = judged.gain
    kind = "up" if gain.low > 0 else "down" if gain.high < 0 else ""
    title = f"{judged.value.mean:.2f} ({wording.interval_said(judged.value)})"
    bar = svg.interval_bar(judged.value, low=0, high=1, mark=logged, title=title)
    return row(
        judged.target,
        _with_interval(f"{judged.value.mean:.2f}", wording.interval_said(judged.value)),
        f"<td>{bar}</td>",
        _with_interval(
            wording.signed(gain.mean),
            f"{wording.signed(gain.low)} to {wording.signed(gain.high)}",
            kind,
        ),
        _with_interval(f"{judged.snips.mean:.2f}", wording.interval_said(judged.snips)),
        _with_interval(f"{judged.matching:,}", f"worth {judged.effective:,.0f}"),
        cell("" if judged.naive is None else f"{judged.naive:.2f}", "num"),
    )


def _with_interval(value: str, interval: str, kind: str = "") -> str:
    inner = f'<b class="{kind}">{escape(value)}</b><small>{escape(interval)}</small>'
    return f'<td class="num">{inner}</td>'


def _matrix(report: LearningReport) -> Section | None:
    matrix = report.matrix
    if not matrix.cells:
        return None
    cells = {(c.strategy, c.task_type): c for c in matrix.cells}
    heads = [head("strategy"), *(head(wording.short(t)) for t in matrix.task_types)]
    rows = [
        row(s, *(_heat(cells.get((s, t))) for t in matrix.task_types)) for s in matrix.strategies
    ]
    body = _note(wording.MATRIX_NOTE)
    body += table("Mean reward by strategy and task type", heads, rows, "heat")
    hidden = f"{matrix.hidden:,} outcomes of rarer strategies and task types are not shown."
    body += _note(hidden if matrix.hidden else "")
    return Section("strengths", "What each strategy is good at", body + _costs(matrix))


def _heat(found: Cell | None) -> str:
    if found is None:
        return '<td class="none">–</td>'
    reward = found.reward
    plural = "outcome" if found.outcomes == 1 else "outcomes"
    return (
        f'<td class="cell" style="--share:{reward.mean:.2f}"><b>{reward.mean:.2f}</b>'
        f"<small>{wording.interval_said(reward)}</small>"
        f"<small>{found.outcomes:,} {plural}</small></td>"
    )


def _costs(matrix: Matrix) -> str:
    rows = [
        row(
            c.strategy,
            cell(wording.short(c.task_type)),
            cell(wording.duration(c.duration_s), "num"),
            cell(wording.amount(c.cost), "num"),
        )
        for c in matrix.cells
        if c.duration_s is not None or c.cost is not None
    ]
    if not rows:
        return ""
    heads = [head("strategy"), head("task type"), head("median duration", "num")]
    heads.append(head("mean cost", "num"))
    return _more("Duration and cost", table("Duration and cost", heads, rows))


def _calibration(report: LearningReport) -> Section | None:
    found = report.calibration
    if found is None:
        return None
    error = f"{found.ece.mean:.3f} ({found.ece.low:.3f} to {found.ece.high:.3f})"
    luck = f"{found.ece_of_luck:.3f}, at most {found.ece_of_luck_high:.3f} in 95 of 100 logs"
    beyond = found.ece.mean > found.ece_of_luck_high
    verdict = "Predictions are off by more than luck explains." if beyond else ""
    facts = [
        ("Calibration error", error),
        ("by luck alone", luck),
        ("Brier score", f"{found.brier.mean:.3f} ({wording.interval_said(found.brier)})"),
        ("of a constant", f"{found.constant:.3f}"),
        ("Predictions", f"{found.outcomes:,} on {found.tasks:,} tasks"),
    ]
    said = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in facts)
    rows = [
        row(
            f"{b.low:.1f} to {b.high:.1f}",
            cell(f"{b.predicted:.2f}", "num"),
            _with_interval(f"{b.reward.mean:.2f}", wording.interval_said(b.reward)),
            cell(f"{b.outcomes:,}", "num"),
        )
        for b in found.bins
    ]
    heads = [head("predicted"), head("mean", "num"), head("reached", "num")]
    heads.append(head("outcomes", "num"))
    verdict = verdict or "Predictions fit what came, as far as luck lets that be seen."
    picture = svg.reliability(found, width=SQUARE, name="calibration")
    numbers = _more("The numbers", table("Predicted against reached reward", heads, rows))
    body = (
        f'<p>{escape(verdict)}</p><div class="two"><div>{picture}</div>'
        f'<div><dl class="facts">{said}</dl>{numbers}</div></div>'
    )
    return Section("calibration", "Did what was predicted come true?", body)


def _shifts(report: LearningReport) -> Section | None:
    if not report.shifts:
        return None
    return Section("shifts", "Shifts", _items(report.shifts, when))


def when(item: Mapping[str, Json]) -> str:
    """Return when a shift was and what it changed, as far as its finder said so."""
    before, after = wording.number(item.get("before")), wording.number(item.get("after"))
    change = "" if before is None or after is None else f"{before:.2f} → {after:.2f}"
    return ", ".join(part for part in (wording.time_said(item.get("at_ms")), change) if part)


def _patterns(report: LearningReport) -> Section | None:
    if not report.summary.labelled:
        return None
    if not report.patterns:
        return Section("patterns", "Patterns", _note("No reliable pattern yet."))
    return Section("patterns", "Patterns", _items(report.patterns, evidence))


def evidence(item: Mapping[str, Json]) -> str:
    """Return the effect, interval and support of what somebody found, as far as they said so."""
    parts = []
    effect, limits = wording.number(item.get("effect")), wording.pair(item.get("interval"))
    if effect is not None:
        inside = f" ({wording.signed(limits[0])} to {wording.signed(limits[1])})" if limits else ""
        parts.append(f"effect {wording.signed(effect)}{inside}")
    if (support := wording.number(item.get("support"))) is not None:
        parts.append(f"{support:,.0f} outcomes" if support >= 1 else f"{support:.0%} of outcomes")
    return ", ".join(parts)


def _items(items: Sequence[Mapping[str, Json]], said: Callable[[Mapping[str, Json]], str]) -> str:
    inner = "".join(
        f"<li>{escape(str(item.get('text', '')))}"
        f'<span class="note">{escape(said(item))}</span></li>'
        for item in items
    )
    return f'<ul class="items">{inner}</ul>'


def _failures(report: LearningReport) -> Section | None:
    if not report.failures:
        return None
    return Section("failures", "How it failed", _items(report.failures, evidence))


def _labels(report: LearningReport) -> Section | None:
    summary = report.summary
    if not summary.outcomes:
        return None
    unlabelled = summary.read - summary.labelled
    named = {"explicit": "said so", "check": "a check ran", "reverted": "reverted or corrected"}
    body = _split(
        [(named.get(c.name, c.name), c.outcomes) for c in report.label_sources]
        + ([("no label", unlabelled)] if unlabelled else [])
    )
    body += _note("How they ended:") + _split([(c.name, c.outcomes) for c in report.statuses])
    body += _note("To have finished is no success: without a label an outcome counts for nothing.")
    return Section("labels", "How outcomes got their label", body)


def _split(parts: Sequence[tuple[str, int]]) -> str:
    tones = [f"--tone:var({TONES.get(name, '--soft')})" for name, _ in parts]
    bar = "".join(
        f'<i style="{tone};flex:{n}"></i>' for (_, n), tone in zip(parts, tones, strict=True)
    )
    keys = "".join(
        f'<li><span class="key" style="{tone}"></span>{escape(name)}: {n:,}</li>'
        for (name, n), tone in zip(parts, tones, strict=True)
    )
    return f'<div class="split" aria-hidden="true">{bar}</div><ul class="legend">{keys}</ul>'


def _waiting(report: LearningReport) -> Section | None:
    if not report.waiting:
        return None
    rows = [
        row(
            str(w.get("task", "")),
            cell(wording.short(w.get("strategy", ""))),
            cell(wording.time_said(w.get("at_ms"))),
            cell(wording.short(w.get("decision", ""))),
        )
        for w in report.waiting
    ]
    heads = [head("task"), head("strategy"), head("chosen (UTC)"), head("decision")]
    left = report.waiting_count - len(report.waiting)
    body = table("Decisions without an outcome", heads, rows)
    return Section(
        "waiting",
        "Decisions waiting for an outcome",
        body + _note(f"and {left:,} more" if left else ""),
    )
