"""Plots as inline SVG: drawn here, coloured by the page's style sheet, read without a script."""

from __future__ import annotations

import math
from html import escape

from swarm_memory.doors.report import wording
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarm_memory.learning.calibration import Calibration
    from swarm_memory.learning.interval import Interval
    from swarm_memory.learning.report import OverTime

    from .wording import Json

TICKS_MAX = 8
DOT_MIN, DOT_MAX = 3.0, 9.0


class Frame(NamedTuple):
    """Where a plot's numbers lie on the picture: x from 0 to `x_most`, y from 0 to 1."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_most: float

    def x(self, number: float) -> float:
        span = self.width - self.left - self.right
        return round(self.left + span * number / self.x_most, 1)

    def y(self, number: float) -> float:
        span = self.height - self.top - self.bottom
        return round(self.height - self.bottom - span * min(max(number, 0.0), 1.0), 1)


def picture(frame: Frame, name: str, title: str, description: str, parts: Sequence[str]) -> str:
    """Return an SVG element that a screen reader reads as its title and description."""
    ids = f"{name}-title {name}-desc"
    return (
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-labelledby="{ids}">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def text(x: float, y: float, content: str, *, kind: str = "tick", anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def line(frame: Frame, points: Sequence[tuple[float, float]], kind: str) -> str:
    at = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in points)
    return f'<polyline class="{kind}" points="{at}"/>'


def band(frame: Frame, rows: Sequence[tuple[float, float, float]], kind: str) -> str:
    """Return the area between (x, low, high)."""
    there = [f"{frame.x(x)},{frame.y(high)}" for x, _, high in rows]
    back = [f"{frame.x(x)},{frame.y(low)}" for x, low, _ in reversed(rows)]
    return f'<polygon class="{kind}" points="{" ".join(there + back)}"/>'


def grid(frame: Frame, *, x_ticks: Sequence[tuple[float, str]]) -> list[str]:
    """Return the lines at every fifth of y with their numbers, and the ticks of x."""
    parts = []
    for fifth in range(6):
        y = frame.y(fifth / 5)
        parts.append(
            f'<line class="grid" x1="{frame.left}" x2="{frame.width - frame.right}"'
            f' y1="{y}" y2="{y}"/>'
        )
        parts.append(text(frame.left - 8, y + 4, f"{fifth / 5:.1f}", anchor="end"))
    below = frame.height - frame.bottom + 20
    parts += [text(frame.x(x), below, label) for x, label in x_ticks]
    return parts


def ticks(most: float) -> list[float]:
    """Return round numbers from 0 to `most`, at most eight."""
    if most <= 0:
        return [0.0]
    rough = most / (TICKS_MAX - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
    return [step * i for i in range(int(most / step) + 1)]


def reward_over_time(
    over_time: OverTime, shifts: Sequence[Mapping[str, Json]], *, width: int, name: str
) -> str:
    """Return the mean reward so far, the recent one, and what the best strategy would reach."""
    points = over_time.points
    frame = Frame(width, 300, 40, 14, 16, 48, float(points[-1].outcomes))
    steps = [n for n in ticks(frame.x_most) if n or frame.x_most < 10]
    parts = grid(frame, x_ticks=[(n, f"{n:,.0f}") for n in steps])
    parts.append(text(frame.width / 2, frame.height - 8, "labelled outcomes", kind="label"))
    known = [(float(p.outcomes), p.best) for p in points if p.best is not None]
    if known:
        parts.append(band(frame, [(x, b.low, b.high) for x, b in known], "band"))
        parts.append(line(frame, [(x, b.mean) for x, b in known], "best"))
    parts.append(line(frame, [(p.outcomes, p.recent) for p in points], "recent"))
    parts.append(line(frame, [(p.outcomes, p.reached) for p in points], "reached"))
    parts += [_shift(frame, over_time, shift) for shift in shifts]
    for p in points:
        best = "" if p.best is None else f", best fixed strategy {p.best.mean:.2f}"
        told = (
            f"{p.outcomes:,} outcomes, {wording.time_said(p.at_ms)}: {p.reached:.2f} so far,"
            f" {p.recent:.2f} recently{best}"
        )
        parts.append(
            f'<circle class="hover" cx="{frame.x(p.outcomes)}" cy="{frame.y(p.reached)}" r="6">'
            f"<title>{escape(told)}</title></circle>"
        )
    last = points[-1]
    summary = f"After {last.outcomes:,} labelled outcomes the mean reward is {last.reached:.2f}."
    if last.best is not None:
        summary += (
            f" Always choosing {wording.short(over_time.best)} would have reached"
            f" {last.best.mean:.2f} ({wording.interval_said(last.best)})."
        )
    return picture(frame, name, "Reward over time", summary, parts)


def _shift(frame: Frame, over_time: OverTime, shift: Mapping[str, Json]) -> str:
    """Return a vertical line where something changed, if that lies within the plot."""
    at_ms = wording.number(shift.get("at_ms"))
    points = over_time.points
    if at_ms is None or not points[0].at_ms <= at_ms <= points[-1].at_ms:
        return ""
    outcomes = next(p.outcomes for p in points if p.at_ms >= at_ms)
    x = frame.x(outcomes)
    return (
        f'<line class="shift" x1="{x}" x2="{x}" y1="{frame.top}" y2="{frame.y(0)}">'
        f"<title>{escape(str(shift.get('text', 'a shift')))}</title></line>"
        f'<path class="flag" d="M{x - 5} {frame.top - 8}h10l-5 8z"/>'
    )


def reliability(calibration: Calibration, *, width: int, name: str) -> str:
    """Return mean reward against prediction, bin by bin, with the diagonal of a perfect fit."""
    frame = Frame(width, width, 52, 12, 12, 48, 1.0)
    parts = grid(frame, x_ticks=[(n / 5, f"{n / 5:.1f}") for n in range(6)])
    parts.append(line(frame, [(0, 0), (1, 1)], "ideal"))
    most = max(b.outcomes for b in calibration.bins)
    for b in calibration.bins:
        x = frame.x(b.predicted)
        size = DOT_MIN + (DOT_MAX - DOT_MIN) * math.sqrt(b.outcomes / most)
        told = (
            f"predicted {b.predicted:.2f}, reached {b.reward.mean:.2f}"
            f" ({wording.interval_said(b.reward)}) over {b.outcomes:,} outcomes"
        )
        parts.append(
            f'<g><title>{escape(told)}</title><line class="error" x1="{x}" x2="{x}"'
            f' y1="{frame.y(b.reward.low)}" y2="{frame.y(b.reward.high)}"/>'
            f'<circle class="dot" cx="{x}" cy="{frame.y(b.reward.mean)}" r="{size:.1f}"/></g>'
        )
    parts.append(text(frame.width / 2, frame.height - 8, "predicted reward", kind="label"))
    middle = frame.y(0.5)
    label = text(0, 0, "reward", kind="label")
    parts.append(f'<g transform="translate(12 {middle}) rotate(-90)">{label}</g>')
    summary = (
        f"Calibration error {calibration.ece.mean:.3f}; luck alone gives"
        f" {calibration.ece_of_luck:.3f}. The nearer the dots to the diagonal, the better."
    )
    return picture(frame, name, "Predicted against reached reward", summary, parts)


def interval_bar(
    value: Interval, *, low: float, high: float, mark: float | None, title: str
) -> str:
    """Return an interval as a bar between `low` and `high`, with a tick at `mark`.

    It stands in a table beside its numbers, so that a screen reader may skip it.
    """

    def x(number: float) -> float:
        return round(4 + 192 * (min(max(number, low), high) - low) / (high - low), 1)

    tick = "" if mark is None else f'<path class="mark" d="M{x(mark)} 2v16"/>'
    return (
        f'<svg class="bar" viewBox="0 0 200 20" aria-hidden="true"><title>{escape(title)}</title>'
        f'<path class="rail" d="M4 10h192"/>{tick}'
        f'<path class="range" d="M{x(value.low)} 10H{max(x(value.high), x(value.low) + 1)}"/>'
        f'<circle class="dot" cx="{x(value.mean)}" cy="10" r="4.5"/></svg>'
    )
