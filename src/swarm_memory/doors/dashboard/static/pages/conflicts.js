// Conflicts: two wrote from one version; whoever looks here says what holds.

import { Refused, change } from "../lib/api.js";
import { difference, near } from "../lib/diff.js";
import { fill, h, slot } from "../lib/dom.js";
import { page } from "../lib/page.js";
import { agentName, badge, card, empty, keyLink, number, plural, table, toast } from "../lib/parts.js";
import { when } from "../lib/time.js";

export default {
  show(target, { swarm, acts, announce }) {
    const editors = new Map(); // by conflict: what is being written stays while the page goes on
    let known = null;
    let handle = null;

    async function settle(conflict, text, say) {
      try {
        JSON.parse(text);
      } catch (error) {
        say(`That is no JSON: ${error.message}`);
        return;
      }
      try {
        await change(swarm, "POST", `conflicts/${encodeURIComponent(conflict.conflict_id)}`, `{"value":${text}}`);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        say(`${error.message} ${error.hint}`);
        return;
      }
      editors.delete(conflict.conflict_id);
      toast(`Settled: ${conflict.key}`);
      handle.update();
    }

    function editor(conflict) {
      if (editors.has(conflict.conflict_id)) return editors.get(conflict.conflict_id);
      const id = `settle-${conflict.conflict_id}`;
      const problem = h("p.problem", { role: "alert", hidden: true });
      const say = (words) => {
        problem.hidden = !words;
        problem.textContent = words;
      };
      const area = h("textarea", { id, spellcheck: "false", rows: "6" });
      area.value = conflict.mine ?? "null";
      const take = (text, words) => text === null ? null : h("button.quiet", { type: "button", onclick: () => { area.value = text; say(""); } }, words);
      const element = h(
        "div.settle",
        h("label.field", { for: id }, "What shall hold, as JSON", area),
        problem,
        h("div.buttons",
          take(conflict.now ?? conflict.theirs, "Take what holds"), take(conflict.mine, "Take what came later"), take(conflict.base, "Take the base"),
          h("button.primary", { type: "button", onclick: () => settle(conflict, area.value, say) }, "Settle")),
      );
      editors.set(conflict.conflict_id, element);
      return element;
    }

    handle = page(target, {
      swarm,
      question: "conflicts",
      title: "Conflicts",
      lead: "Two agents wrote from one version of a memory, and nobody has said yet what holds.",
      draw(answer) {
        if (known !== null && answer.parked.length > known) announce(`${plural(answer.parked.length, "conflict")} to settle`);
        known = answer.parked.length;
        return [parked(answer.parked, acts), settled(answer.settled)];
      },
      after(answer) {
        if (!acts) return;
        for (const conflict of answer.parked) fill(target, `settle-${conflict.conflict_id}`, editor(conflict));
      },
    });
    return handle;
  },
};

function parked(conflicts, acts) {
  if (!conflicts.length) {
    return card("To settle", { count: "0", key: "parked" }, empty(
      "No conflict waits",
      "Most settle themselves: by the rule of their category, or by merging. One that is kept with both sides waits here. A write says so with",
      "swarm-memory put KEY VALUE --expect VERSION --on-conflict keep_both",
    ));
  }
  return conflicts.map((conflict) => card(
    "To settle", { key: conflict.conflict_id, extra: h("span.faint", when(conflict.at_ms)) },
    h("p.line.conflict-key", { "data-row": true }, keyLink(conflict.key), badge(`from version ${conflict.base_version}`)),
    h("div.sides",
      side("Holds now", conflict.their_author, conflict.base, conflict.now ?? conflict.theirs),
      side("Came later, and waits", conflict.author, conflict.base, conflict.mine)),
    acts ? slot(`settle-${conflict.conflict_id}`) : h("p.none", "To settle it: ", h("code", `swarm-memory conflicts resolve ${conflict.conflict_id}`)),
  ));
}

function side(title, author, base, text) {
  const lines = near(difference(base ?? "", text ?? ""));
  return h(
    "div.side-of",
    h("h3", title, author ? [" · ", agentName(author)] : null),
    h("pre.diff", { tabindex: "0", role: "group", "aria-label": title }, lines.map(([how, words]) =>
      how === null
        ? h("span.skip-lines", `${plural(words, "line")} unchanged\n`)
        : h("span", { class: how === "+" ? "come" : how === "-" ? "gone" : "" }, `${how} ${words}\n`))),
  );
}

function settled(conflicts) {
  if (!conflicts.length) return null;
  const rows = conflicts.map((conflict) => h(
    "tr", { "data-row": true, "data-key": conflict.conflict_id },
    h("td.wide", keyLink(conflict.key)),
    h("td", badge(conflict.strategy)),
    h("td", agentName(conflict.author)),
    h("td.num", `${conflict.base_version} → ${conflict.their_version}`),
    h("td.num", when(conflict.at_ms)),
  ));
  return card("Settled", { count: number(rows.length), key: "settled" },
    table("Conflicts that were settled", [["Key"], ["How"], ["Agent"], ["Versions", "num"], ["When", "num"]], rows));
}
