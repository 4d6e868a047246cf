// Learning: how tasks ended, what each strategy is worth, and what the outcomes say.

import { look } from "../lib/api.js";
import { fill, h, slot } from "../lib/dom.js";
import { lines } from "../lib/lines.js";
import { page } from "../lib/page.js";
import { badge, card, duration, empty, number, plural, table } from "../lib/parts.js";
import { when } from "../lib/time.js";

const SAID_MS = 60_000; // what the outcomes say is read anew so often
const ENDS = { success: "good", failure: "bad", partial: "warn", timeout: "warn", conflict: "warn", unknown: "" };
const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(100 * share)} %`);

export default {
  show(target, { swarm }) {
    const plot = lines("Mean reward of twenty outcomes in a row", [["reward", "--plot-1"]], { unit: percent, low: 0, high: 1 });
    let said = null;
    let saidAt = 0;
    let handle = null;

    async function listen() {
      if (Date.now() - saidAt < SAID_MS) return;
      saidAt = Date.now();
      try {
        said = await look(swarm, "insights");
      } catch (error) {
        said = [{ kind: "problem", text: error.message, action: error.hint || "", support: 0 }];
      }
      handle.update();
    }

    handle = page(target, {
      swarm,
      question: "learning",
      title: "Learning",
      lead: "How tasks ended, what each strategy is worth, and how sure that is.",
      draw(answer) {
        if (!answer.outcomes) {
          return card("Outcomes", { key: "outcomes" }, empty(
            "No outcome is recorded yet",
            "With its hooks each turn of an agent becomes one, labelled by the tests that ran after it. By hand:",
            "swarm-memory outcome refactoring --strategy small-steps --success --duration 120",
          ));
        }
        return [
          tiles(answer),
          h("div.columns", { "data-key": "columns" },
            h("div.column", { "data-key": "left" }, strategies(answer.strategies), recent(answer.recent)),
            h("div.column", { "data-key": "right" }, card("Over time", { key: "course" }, slot("plot")), insights(said))),
        ];
      },
      after(answer) {
        if (!answer.outcomes) return;
        fill(target, "plot", plot.element);
        const { curve } = answer;
        const last = curve.at(-1);
        plot.set([curve.map(([ms]) => ms / 1000), curve.map(([, mean]) => mean)],
          last ? `${percent(last[1])} of the last twenty succeeded, ${percent(curve[0][1])} of the first` : "Twenty outcomes that say how they ended make the first point.");
        listen();
      },
    });
    return handle;
  },
};

function tiles(answer) {
  const tile = (title, value, below, kind = "") => h("div.tile", { "data-key": title, class: kind }, h("h2", title), h("p.value", value), h("p.below", below));
  const few = answer.coverage !== null && answer.coverage < 0.3;
  return h("div.tiles.four", { "data-key": "tiles" },
    tile("Outcomes", number(answer.outcomes), `of ${plural(answer.strategies.length, "strategy", "strategies")}`),
    tile("Labelled", percent(answer.coverage), few ? "too few to recommend anything" : "say how they ended", few ? "warn" : ""),
    tile("Waiting", number(answer.waiting), "choices without an outcome yet"),
    tile("Last", answer.recent.length ? when(answer.recent[0].at_ms) : "–", answer.recent.length ? answer.recent[0].task_type : ""));
}

function strategies(all) {
  const rows = all.map((arm) => h(
    "tr", { "data-row": true, "data-key": `${arm.task_type} ${arm.strategy}` },
    h("td", h("span.name", arm.task_type)),
    h("td.wide", h("span.name", arm.strategy)),
    h("td", arm.mean === null ? h("span.faint", "no label") : h("span.share", h("meter", { min: "0", max: "1", value: String(arm.mean), "aria-label": percent(arm.mean) }), h("span", percent(arm.mean)))),
    h("td.num", number(arm.trials)),
    h("td.num", arm.mean_duration_s === null ? "–" : duration(arm.mean_duration_s)),
    h("td.num", arm.mean_cost ? arm.mean_cost.toPrecision(3) : "–"),
  ));
  return card("Strategies", { count: number(rows.length), key: "strategies" },
    table("Strategies and how they did", [["Task type"], ["Strategy"], ["Reward"], ["Outcomes", "num"], ["Takes", "num"], ["Costs", "num"]], rows));
}

function recent(outcomes) {
  const rows = outcomes.map((outcome) => h(
    "tr", { "data-row": true, "data-key": outcome.outcome_id },
    h("td.num", when(outcome.at_ms)),
    h("td", h("span.name", outcome.task_type)),
    h("td.wide", outcome.strategy ? h("span.name", outcome.strategy) : h("span.faint", "none said")),
    h("td", badge(outcome.status, ENDS[outcome.status] ?? ""), outcome.error_class ? h("span.faint", ` ${outcome.error_class}`) : null),
    h("td", { title: "who says so" }, outcome.label_source),
    h("td.num", duration(outcome.duration_s)),
  ));
  return card("Last outcomes", { count: number(rows.length), key: "recent" },
    table("Last outcomes", [["When", "num"], ["Task type"], ["Strategy"], ["Ended"], ["Says"], ["Took", "num"]], rows));
}

function insights(said) {
  if (said === null) return card("What they say", { key: "insights" }, h("p.none", "Reading the outcomes…"));
  if (!said.length) return card("What they say", { key: "insights" }, empty("No reliable pattern yet", "What is shown here was confirmed on outcomes that it was not found on."));
  return card("What they say", { count: number(said.length), key: "insights" }, h("ul.feed", said.map((insight) =>
    h("li", { "data-row": true, tabindex: "-1" }, h("p", badge(insight.kind), " ", insight.text), insight.action ? h("p.faint", insight.action) : null))));
}
