"""The learning report as one HTML page: no script, nothing fetched, every name escaped."""

from __future__ import annotations

from html import escape

from swarm_memory.doors.report import sections, wording
from swarm_memory.doors.report.style import SHEET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.learning.report import LearningReport, Summary

# Should a name ever slip through the escaping, the browser still fetches and runs nothing.
CONTENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


def html_page(report: LearningReport, *, title: str = "What the swarm has learned") -> str:
    """Return the report as an HTML document that stands for itself.

    Light or dark as the reader's system is, readable on a phone, with a table for every figure.
    """
    shown = [s for s in sections.all_of(report) if s is not None]
    if report.summary.outcomes:
        links = "".join(f'<a href="#{s.name}">{escape(s.title)}</a>' for s in shown)
        body = (
            f"{_tiles(report)}"
            f'<nav aria-label="Sections">{links}</nav></header><main id="main">'
            + "".join(_section(s) for s in shown)
        )
    else:
        body = f'</header><main id="main">{_empty(report)}'
        body += "".join(_section(s) for s in shown if s.name == "waiting")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        f"<title>{escape(title)}</title><style>{SHEET}</style></head><body>"
        '<a class="skip" href="#main">Skip to the report</a>'
        f'<header><h1>{escape(title)}</h1><p class="sub">{_span(report.summary)}</p>'
        f"{body}</main><footer>{_foot(report.summary)}</footer></body></html>\n"
    )


def _section(section: sections.Section) -> str:
    heading = f"{section.name}-heading"
    return (
        f'<section id="{section.name}" aria-labelledby="{heading}">'
        f'<h2 id="{heading}">{escape(section.title)}</h2>{section.body}</section>'
    )


def _span(summary: Summary) -> str:
    if summary.first_ms is None:
        return ""
    first, last = wording.day(summary.first_ms), wording.day(summary.last_ms)
    when = first if first == last else f"{first} to {last}"
    return escape(f"{when}, {summary.tasks:,} tasks, {summary.strategies:,} strategies")


def _foot(summary: Summary) -> str:
    read = ""
    if summary.read < summary.outcomes:
        read = f"The last {summary.read:,} of {summary.outcomes:,} outcomes were read. "
    return (
        f"{read}Rewards lie between 0 and 1. Intervals are 95 %, outcomes of one task count once."
    )


def _tiles(report: LearningReport) -> str:
    summary = report.summary
    reward = summary.reward
    best = next((j for j in report.off_policy if j.target == report.over_time.best), None)
    tiles = [
        ("Outcomes", f"{summary.outcomes:,}", f"{report.waiting_count:,} decisions waiting"),
        ("Known label", f"{summary.coverage:.0%}", f"{summary.labelled:,} labelled"),
        (
            "Mean reward",
            "–" if reward is None else f"{reward.mean:.2f}",
            "nothing labelled" if reward is None else wording.interval_said(reward),
        ),
        (
            "Best fixed strategy",
            "–" if best is None or best.value is None else f"{best.value.mean:.2f}",
            "not known yet" if best is None or best.value is None else wording.short(best.target),
        ),
    ]
    inner = "".join(
        f'<div class="tile"><dt>{label}</dt><dd class="big">{escape(big)}</dd>'
        f'<dd class="small">{escape(small)}</dd></div>'
        for label, big, small in tiles
    )
    found = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.findings)
    return f'<ul class="findings">{found}</ul><dl class="tiles">{inner}</dl>'


def _empty(report: LearningReport) -> str:
    say, command = wording.EMPTY
    return f'<section class="empty"><p>{escape(say)}</p><code>{escape(command)}</code></section>'
