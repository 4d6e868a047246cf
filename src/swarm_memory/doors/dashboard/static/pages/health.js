// Health: whether the swarm is well, what is wrong and what to do, and how it went lately.

import { change } from "../lib/api.js";
import { fill, h, slot } from "../lib/dom.js";
import { lines } from "../lib/lines.js";
import { page } from "../lib/page.js";
import { agentName, attempt, badge, card, empty, number, plural, size, table } from "../lib/parts.js";
import { when } from "../lib/time.js";

const FAR_DAYS = 3650;
const WORDS = { healthy: "All is well", warning: "Something needs a look", critical: "Something is wrong" };
const KINDS = { healthy: "good", warning: "warn", critical: "bad" };
const ms = (value) => (value === null ? "–" : value === 0 ? "0 ms" : value < 10 ? `${value.toPrecision(2)} ms` : `${number(Math.round(value))} ms`);

export default {
  show(target, { swarm, acts, announce }) {
    const calls = lines("Calls a second", [["calls", "--plot-1"]], { unit: (v) => number(v) });
    const writes = lines("How long a write takes", [["half take less", "--plot-1"], ["99 of 100 take less", "--cool"]], { unit: ms });
    const memory = lines("Memory", [["bytes", "--plot-1"]], { unit: size, binary: true });
    let overall = null;
    let handle = null;

    async function act(alert, what, done) {
      await attempt(() => change(swarm, "POST", `alerts/${encodeURIComponent(alert.alert_id)}/${what}`, "{}"), done);
      handle.update();
    }

    handle = page(target, {
      swarm,
      question: "condition",
      title: "Health",
      lead: "Whether the swarm is well, what is wrong, and what to do about it.",
      draw(answer) {
        const { report } = answer;
        if (overall !== null && report.overall_health !== overall) announce(WORDS[report.overall_health]);
        overall = report.overall_health;
        return [
          verdict(answer),
          h("div.columns", { "data-key": "columns" },
            h("div.column", { "data-key": "left" }, alerts(answer.alerts, acts ? act : null), verbs(answer.sample), resolved(answer.resolved)),
            h("div.column", { "data-key": "right" }, card("The last hours", { key: "course" }, answer.course.length > 1
              ? [slot("calls"), slot("writes"), slot("memory")]
              : empty("Nothing was measured yet", "Every minute one process of those that stay takes a sample: this server does.")), trends(answer.trends))),
        ];
      },
      after({ course }) {
        if (course.length < 2) return;
        const column = (place) => course.map((point) => point[place]);
        const seconds = column(0).map((at) => at / 1000);
        const last = course.at(-1);
        for (const [name, plot] of [["calls", calls], ["writes", writes], ["memory", memory]]) fill(target, name, plot.element);
        calls.set([seconds, column(1)], `now ${last[1] === null ? "–" : number(Math.round(last[1]))} a second`);
        writes.set([seconds, column(2), column(3)], last[2] === null ? "nobody writes now" : `now ${ms(last[2])}, and ${ms(last[3])}`);
        memory.set([seconds, column(4)], `now ${size(last[4])}`);
      },
    });
    return handle;
  },
};

function verdict({ report, alerts: open, sample }) {
  const { overall_health: overall, metrics } = report;
  return h(
    "section.verdict", { class: KINDS[overall], "aria-label": "Overall", "data-key": "verdict" },
    h("p.big", WORDS[overall]),
    h("p", open.length ? plural(open.length, "open alert") : "no open alerts", " · ", `${number(metrics.records)} records, ${size(metrics.bytes)}`,
      sample ? [" · sampled ", when(sample.at_ms)] : null),
  );
}

function alerts(open, act) {
  const items = open.map((alert) => h(
    "li", { "data-row": true, "data-key": alert.alert_id, tabindex: "-1" },
    h("p.line", badge(alert.severity, alert.severity === "critical" ? "bad" : "warn"), h("span.name", alert.rule.replaceAll("_", " ")), alert.state === "acknowledged" ? badge("seen by", "") : null, alert.acknowledged_by ? agentName(alert.acknowledged_by) : null, when(alert.raised_ms)),
    h("p", alert.text),
    h("p.faint", alert.advice),
    act ? h("p.alert-actions",
      alert.state === "open" ? h("button.quiet", { type: "button", onclick: () => act(alert, "acknowledge", "Acknowledged") }, "I have seen it") : null,
      h("button.quiet", { type: "button", onclick: () => act(alert, "resolve", "Resolved; the next sample raises it anew if it still holds") }, "It is over")) : null,
  ));
  return card("Alerts", { count: number(open.length), key: "alerts" }, items.length
    ? h("ul.feed", items)
    : empty("No alert is open", "Rules are held against every sample: a full memory, a lock that somebody waits for too long, a consumer that is stuck, errors, slow calls, a strategy that fails."));
}

function resolved(past) {
  if (!past.length) return null;
  const rows = past.map((alert) => h(
    "tr", { "data-row": true, "data-key": alert.alert_id },
    h("td", badge(alert.severity, alert.severity === "critical" ? "bad" : "warn")),
    h("td.wide", { title: alert.text }, h("span.text", alert.text)),
    h("td.num", when(alert.raised_ms)),
    h("td.num", when(alert.resolved_ms)),
  ));
  return card("Over", { count: number(past.length), key: "resolved" }, table("Alerts that are over", [["Severity"], ["What it was"], ["Raised", "num"], ["Over", "num"]], rows));
}

function verbs(sample) {
  const named = sample ? Object.entries(sample.verbs) : [];
  if (!named.length) return null;
  const rows = named.map(([verb, { calls, p50_ms: half, p99_ms: most }]) => h(
    "tr", { "data-row": true, "data-key": verb },
    h("td.wide", h("span.name", verb)), h("td.num", number(calls)), h("td.num", ms(half)), h("td.num", ms(most)),
  ));
  return card("Calls of the last sample", { count: number(rows.length), key: "verbs" }, table("Calls by verb", [["Verb"], ["Calls", "num"], ["Half take less", "num"], ["99 of 100", "num"]], rows));
}

// A day more or less says nothing of what is years away.
function full(days) {
  return days > FAR_DAYS ? "not full within ten years" : `full in ${number(Math.round(days))} days`;
}

function trends(course) {
  const told = [
    course.bytes_per_day === null ? null : `It grows by ${size(Math.max(0, course.bytes_per_day))} a day.`,
    course.days_left === null ? null : `At that growth it is ${full(course.days_left)}.`,
    ...course.changes,
  ].filter(Boolean);
  return card("Since yesterday", { key: "trends" }, told.length ? h("ul.told", told.map((line) => h("li", line))) : h("p.none", "Nothing worth telling."));
}
