"""The page stands for itself, runs nothing, and says on every door what the report says."""

import io
import re
from html.parser import HTMLParser

import made_logs as logs
import pytest
from rich.console import Console

from swarm_memory.doors.report.page import html_page
from swarm_memory.doors.report.terminal import print_report, spark
from swarm_memory.learning.report import build_report

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='x' &lt;"
VOID = {"meta", "br", "img", "link", "input"}


class Reader(HTMLParser):
    """Collects elements, ids, references and text, and checks that what opens is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.attributes, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [value for _, found, value in self.attributes if found == name]


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert [] == reader.open
    return reader


def full(name="careful"):
    """Return a report with something in every section; `name` stands wherever a name can."""
    rows = [
        o._replace(
            strategy=o.strategy if o.strategy != "careful" else name,
            candidates=(name, "fast", "plain"),
            task_type=o.task_type if o.task_type != "hard" else name,
            predicted=0.3 if o.task_type == "hard" else 0.8,
            duration_s=75.0,
            cost=0.25,
            status=o.status if o.reward else name,
        )
        for o in logs.drawn(300, seed=1)
    ]
    rows.append(logs.observation(301, "fast", None, label_source="unknown"))
    item = {"text": f"found {name}", "support": 40, "effect": -0.2, "interval": (-0.3, -0.1)}
    return build_report(
        rows,
        seed=0,
        patterns=[item],
        shifts=[{"text": f"shift {name}", "at_ms": rows[150].at_ms, "before": 0.7, "after": 0.4}],
        failures=[{"text": f"failed {name}", "support": 3}],
        waiting=[{"decision": name, "task": name, "strategy": name, "at_ms": rows[0].at_ms}],
        waiting_count=3,
    )


def test_the_page_needs_nothing_else_and_runs_nothing():
    page = html_page(full())
    reader = read(page)

    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(reader.tags)
    assert [] == [v for v in reader.values("href") if not v.startswith("#")]
    assert [] == reader.values("src")
    assert not re.search(r"url\(|@import|https?://", page)
    assert any("default-src 'none'" in v for v in reader.values("content"))


def test_a_name_that_is_markup_is_text_everywhere():
    page = html_page(full(HOSTILE), title=HOSTILE)
    reader = read(page)

    assert not {"script", "img"} & set(reader.tags)
    assert [] == [name for _, name, _ in reader.attributes if name.startswith("on")]
    for said in ("found ", "shift ", "failed "):
        assert any(said + HOSTILE in text for text in reader.text)


def test_every_section_is_there_and_every_link_leads_to_one():
    reader = read(html_page(full()))

    targets = [v[1:] for v in reader.values("href")]
    expected = {"reward", "policies", "strengths", "calibration", "shifts", "patterns"}
    assert expected | {"failures", "labels", "waiting", "main"} == set(targets)
    assert set(targets) <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_every_picture_has_a_title_and_description_or_stands_beside_its_numbers():
    reader = read(html_page(full()))
    of_pictures = [(name, value) for tag, name, value in reader.attributes if tag == "svg"]

    named = [value for name, value in of_pictures if name == "aria-labelledby"]
    assert 3 == len(named)
    assert reader.tags.count("svg") == 3 + of_pictures.count(("aria-hidden", "true"))
    assert {part for ids in named for part in ids.split()} <= set(reader.ids)


def test_tables_can_be_scrolled_by_keyboard_and_have_captions_and_heads():
    reader = read(html_page(full()))

    tables = reader.tags.count("table")
    assert 5 <= tables == reader.tags.count("caption")
    assert tables == reader.values("tabindex").count("0")
    assert {"col", "row"} == set(reader.values("scope"))


def test_the_page_says_the_numbers_of_the_report():
    report = full()
    text = " ".join(read(html_page(report)).text)

    for judged in report.off_policy:
        assert f"{judged.value.mean:.2f}" in text
        assert f"{judged.value.low:.2f} to {judged.value.high:.2f}" in text
    assert f"{report.calibration.ece.mean:.3f}" in text
    assert "effect −0.20 (−0.30 to −0.10), 40 outcomes" in text
    assert "and 2 more" in text


def test_light_and_dark_and_narrow_are_in_the_style_sheet():
    page = html_page(full())

    assert "prefers-color-scheme:dark" in page
    assert "max-width:700px" in page
    assert 'name="viewport"' in page


def test_an_empty_report_says_what_to_do():
    report = build_report([], seed=0)
    page, terminal = " ".join(read(html_page(report)).text), printed(report)

    for said in (page, terminal):
        assert "No outcomes yet" in said
        assert "swarm-memory outcome" in said


@pytest.mark.parametrize(
    "rows",
    [
        [logs.observation(1, "a", 1.0)],
        [logs.observation(i, "a", None) for i in range(3)],
        [logs.observation(i, None, 0.0, propensity=None) for i in range(30)],
        [o._replace(propensity=None) for o in logs.drawn(60, seed=0)],
    ],
    ids=["one outcome", "no label", "no strategy", "no propensity"],
)
def test_a_report_with_little_in_it_is_a_page_all_the_same(rows):
    report = build_report(rows, seed=0)

    read(html_page(report))
    assert printed(report)


def test_a_refusal_stands_in_the_table_with_its_reason():
    report = build_report([o._replace(propensity=None) for o in logs.drawn(60, seed=0)], seed=0)

    for said in (" ".join(read(html_page(report)).text), printed(report)):
        assert "with which probability its strategy was chosen" in " ".join(said.split())


def test_what_finders_hand_in_may_lack_numbers_or_have_odd_ones():
    odd = [{}, {"text": None, "effect": "big", "interval": "wide", "support": None, "at_ms": 1e30}]
    rows = logs.drawn(60, seed=0)
    report = build_report(rows, seed=0, patterns=odd, shifts=odd, failures=odd, waiting=odd)

    read(html_page(report))
    assert printed(report)


def test_the_page_stays_small_however_long_the_log():
    rows = logs.drawn(3_000, seed=5)

    assert len(html_page(build_report(rows, seed=0))) < 200_000


def printed(report):
    out = io.StringIO()
    print_report(report, Console(file=out, width=100))
    return out.getvalue()


def test_the_terminal_says_the_same_in_text():
    report = full()
    text = printed(report)

    for judged in report.off_policy:
        assert f"{judged.value.low:.2f} to {judged.value.high:.2f}" in text
    for said in ("found careful", "shift careful", "failed careful", "calibration error"):
        assert said in text


def test_names_cannot_steer_the_terminal_nor_rich():
    text = printed(full("\x1b[31mred[bold]"))

    assert "\x1b" not in text
    assert "\\x1b[31mred[bold]" in text


def test_the_line_of_blocks_has_one_for_each_share():
    assert "▁█" == spark([0.0, 1.0])
    assert 60 == len(spark([0.5] * 1_000))
