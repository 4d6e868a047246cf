// Shown: what was put before which agent, because of what, and what became of it.

import { look } from "../lib/api.js";
import { h, render } from "../lib/dom.js";
import { agentName, badge, card, empty, keyLink, number, place, plural, table } from "../lib/parts.js";
import { steady } from "../lib/steady.js";
import { when } from "../lib/time.js";

const KINDS = ["memory", "message", "outcome", "conflict", "session", "edit", "practice"];
const PAGE = 50;

// Why something was shown: the event of the agent's tool, in words.
const WHY = {
  "SessionStart:startup": "its session began",
  "SessionStart:resume": "its session was resumed",
  "SessionStart:clear": "its context was cleared",
  "SessionStart:compact": "its context was compacted",
  "SessionStart:fork": "its session was forked",
  "SessionStart:other": "its session began",
  UserPromptSubmit: "it answers its prompt",
  SubagentStart: "it was started as a subagent",
};

function why(event) {
  if (WHY[event]) return WHY[event];
  const [name, tool] = event.split(":");
  if (name === "PreToolUse") return `it was about to use ${tool}`;
  if (name === "PostToolUseFailure") return `${tool} had failed`;
  return event;
}

export default {
  show(target, { swarm, parameters }) {
    const life = new AbortController();
    const only = { agent: parameters.agent || "", kind: parameters.kind || "", item: parameters.item || "" };
    let items = [];
    let agents = [];
    let next = null;
    let further = false; // whoever has asked for older lines reads on undisturbed
    let read = false;
    let problem = null;

    async function attempt(work) {
      try {
        await work();
        problem = null;
      } catch (error) {
        if (life.signal.aborted) return;
        problem = error;
      }
      if (!life.signal.aborted) draw();
    }

    const refresh = steady(() => attempt(async () => {
      const answer = await look(swarm, "shown", { ...only, limit: PAGE }, life.signal);
      agents = answer.agents;
      read = true;
      if (further) {
        const newest = items[0]?.injection_id ?? 0;
        items = [...answer.items.filter((item) => item.injection_id > newest), ...items];
        return;
      }
      items = answer.items;
      next = answer.next_before;
    }));

    const older = () => attempt(async () => {
      const answer = await look(swarm, "shown", { ...only, limit: PAGE, before: next }, life.signal);
      items = [...items, ...answer.items];
      next = answer.next_before;
      further = true;
    });

    function draw() {
      render(
        target,
        h("div.page-head", { "data-key": "head" }, h("h1", "Shown"), h("p.lead", "What agents were shown of the shared memory, why, and whether they used it.")),
        problem ? h("div.problem", { role: "alert", "data-key": "problem" }, `${problem.message}. ${problem.hint || ""}`) : null,
        read ? [agentsCard(agents, only), logCard(items, only, next, older)] : null,
      );
    }

    draw();
    refresh();
    return { update: refresh, close: () => life.abort() };
  },
};

function agentsCard(agents, only) {
  if (!agents.length) return null;
  const rows = agents.map((each) => {
    const chosen = each.agent === only.agent;
    return h(
      "tr", { "data-row": true, "data-key": each.agent, class: chosen ? "chosen" : "" },
      h("td.wide", h("a.who", { href: place("shown", { ...only, agent: chosen ? "" : each.agent }), "aria-current": chosen ? "true" : null, title: chosen ? "Show all agents" : `Only ${each.agent}` }, agentName(each.agent))),
      h("td.num", number(each.items)),
      h("td.num", number(each.tokens)),
      h("td", h("span.share", h("meter", { min: "0", max: String(each.items), value: String(each.cited), "aria-label": `${each.cited} of ${each.items} cited` }), h("span", `${number(each.cited)} cited`))),
      h("td.num", when(each.last_ms)),
    );
  });
  return card("To whom", { count: number(agents.length), key: "agents" },
    table("Agents and what they were shown", [["Agent"], ["Items", "num"], ["Tokens", "num"], ["Used"], ["Last", "num"]], rows));
}

function filters(only) {
  const link = (kind, text) => h("a.chip", { href: place("shown", { ...only, kind }), "aria-current": only.kind === kind ? "true" : null }, text);
  return h(
    "div.chips", { role: "group", "aria-label": "Only of one kind" },
    link("", "all"), KINDS.map((kind) => link(kind, kind)),
    only.agent ? h("a.chip.set", { href: place("shown", { ...only, agent: "" }), title: "Show all agents" }, `${only.agent} ✕`) : null,
    only.item ? h("a.chip.set", { href: place("shown", { ...only, item: "" }), title: "Show all items" }, `${only.item} ✕`) : null,
  );
}

function logCard(items, only, next, older) {
  const filtered = only.agent || only.kind || only.item;
  const rows = items.map(row);
  const columns = [["When", "num"], ["Agent"], ["What"], ["Because"], ["Fit", "num"], ["Tokens", "num"], ["Then"]];
  const inside = rows.length
    ? table("What was shown", columns, rows, "shown")
    : filtered
      ? empty("Nothing like that was shown", "Take a filter away to see more.")
      : empty("No agent has been shown anything yet", "With its hooks, an agent is shown what others learned when its session begins, with its prompts, and before it edits a file that another one is changing:", "swarm-memory init --claude");
  return card("Log", { count: plural(items.length, "line"), extra: filters(only), key: "log" },
    inside, next === null ? null : h("button.further", { type: "button", onclick: older }, "Show older"));
}

function row(item) {
  const what = item.kind === "memory"
    ? [keyLink(item.item), item.text ? h("span.text", item.text) : h("span.faint", "gone since")]
    : [h("span.mono", { title: item.item }, item.item)];
  return h(
    "tr", { "data-row": true, "data-key": item.injection_id },
    h("td.num", when(item.at_ms)),
    h("td", h("a.who", { href: place("shown", { agent: item.agent }) }, agentName(item.agent))),
    h("td.wide", h("div.what", badge(item.kind, `kind-${item.kind}`), item.id ? h("span.handle", { title: "the number that it was shown with" }, item.id) : null, what)),
    h("td", { title: item.event }, why(item.event)),
    h("td.num", item.score === null ? h("span.faint", "–") : item.score.toFixed(2)),
    h("td.num", number(item.tokens)),
    h("td", item.cited_ms !== null
      ? badge("cited", "good", "the agent named it later")
      : item.present
        ? h("span.faint", { title: "it stands in the agent's context" }, "in context")
        : h("span.faint", { title: "the context was compacted, or a newer version was shown" }, "no longer")),
  );
}
