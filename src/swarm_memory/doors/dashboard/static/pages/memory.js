// Memory: the tree of keys a level at a time, search, and one record.

import { look, read } from "../lib/api.js";
import { h, render } from "../lib/dom.js";
import { VERBS } from "../lib/feed.js";
import { agentName, badge, card, duration, empty, keyLink, number, place, size, table } from "../lib/parts.js";
import { steady } from "../lib/steady.js";
import { when } from "../lib/time.js";
import { showRecord } from "./record.js";

const PAGE = 100;
const HITS = 25;
const AFTER_TYPING_MS = 200;

export default {
  show(target, context) {
    return context.parameters.key ? showRecord(target, context) : browse(target, context);
  },
};

function browse(target, { swarm, parameters, announce }) {
  const life = new AbortController();
  const prefix = (parameters.prefix || "").replace(/\/$/, "");
  let question = parameters.q || "";
  let items = [];
  let after = "";
  let hits = null;
  let latest = [];
  let kinds = [];
  let problem = null;
  let typing = null;
  let searching = null;

  const box = h("input", { id: "search", type: "search", placeholder: "Search memories, in any words", autocomplete: "off", maxlength: "1000", "aria-label": "Search memories" });
  box.value = question;
  box.oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(search, AFTER_TYPING_MS);
  };
  const form = h("form.search", { role: "search", onsubmit: (event) => { event.preventDefault(); search(); } }, box, h("kbd", { title: "focuses the search" }, "/"));

  async function search() {
    searching?.abort();
    question = box.value.trim();
    history.replaceState(null, "", place("memory", { prefix, q: question }));
    if (!question) {
      hits = null;
      draw();
      return;
    }
    searching = new AbortController();
    const { signal } = searching;
    await attempt(async () => {
      const found = await read(swarm, "search", { query: question, limit: HITS, prefix: prefix ? `${prefix}/` : "" }, signal);
      hits = found.hits;
      announce(hits.length ? `${hits.length} memories found` : "nothing found");
    }, signal);
  }

  async function attempt(work, signal = life.signal) {
    try {
      await work();
      problem = null;
    } catch (error) {
      if (signal.aborted) return;
      problem = error;
    }
    if (!life.signal.aborted) draw();
  }

  /** Read again what is shown: as many items as there are, so that the list keeps its length. */
  const refresh = steady(() => attempt(async () => {
    const limit = Math.min(500, Math.max(PAGE, items.length));
    const [level, changed, held] = await Promise.all([
      look(swarm, "level", { prefix, limit }, life.signal),
      look(swarm, "latest", { telemetry: "0", limit: 30 }, life.signal),
      prefix ? kinds : look(swarm, "kinds", {}, life.signal),
    ]);
    if (items.length <= limit) {
      items = level.items;
      after = level.next_after;
    }
    latest = changed;
    kinds = held;
  }));

  const further = () => attempt(async () => {
    const level = await look(swarm, "level", { prefix, after, limit: PAGE }, life.signal);
    items = [...items, ...level.items];
    after = level.next_after;
  });

  function draw() {
    render(
      target,
      h("div.page-head", { "data-key": "head" }, h("h1", "Memory"), h("p.lead", "What the agents of this swarm know, by key or by question.")),
      h("div.bar", { "data-key": "bar", "data-own": "" }),
      problem ? h("div.problem", { role: "alert", "data-key": "problem" }, `${problem.message}. `, problem.hint || "") : null,
      question && hits ? found(hits, question) : h(
        "div.columns", { "data-key": "columns" },
        h("div.column", { "data-key": "left" }, levelCard(prefix, items, after, further), prefix ? null : kindsCard(kinds)),
        h("div.column", { "data-key": "right" }, changedCard(latest)),
      ),
    );
    const bar = target.querySelector(".bar");
    if (form.parentNode !== bar) {
      bar.replaceChildren(form);
      if (parameters.find) box.focus();
    }
  }

  draw();
  refresh();
  if (question) search();
  return {
    update: () => refresh(),
    close: () => {
      clearTimeout(typing);
      searching?.abort();
      life.abort();
    },
  };
}

function crumbs(prefix) {
  const parts = prefix ? prefix.split("/") : [];
  const links = [h("li", h("a", { href: place("memory"), "aria-current": parts.length ? null : "location" }, "all"))];
  for (const [index, part] of parts.entries()) {
    const here = parts.slice(0, index + 1).join("/");
    const last = index === parts.length - 1;
    links.push(h("li", h("a", { href: place("memory", { prefix: here }), "aria-current": last ? "location" : null }, part)));
  }
  return h("nav.crumbs", { "aria-label": "Where in the tree" }, h("ol", links));
}

function levelCard(prefix, items, after, further) {
  const rows = items.map((item) => (item.leaf ? leafRow(item, prefix) : branchRow(item, prefix)));
  const columns = [["Name"], ["Version", "num"], ["Author"], ["Changed", "num"], ["Size", "num"]];
  const inside = rows.length
    ? [
        table(prefix ? `Keys below ${prefix}` : "Keys", columns, rows, "level"),
        after ? h("button.further", { type: "button", onclick: further }, "Show more") : null,
      ]
    : prefix
      ? empty("Nothing is below this key", "It may have been deleted, or have expired.")
      : empty("Nothing is remembered yet", "What agents store shows up here. Store something yourself:", `swarm-memory put notes/plan '{"step": 1}'`);
  return card("Keys", { extra: crumbs(prefix), key: "keys" }, inside);
}

function branchRow(item, prefix) {
  const name = prefix ? item.key.slice(prefix.length + 1) : item.key;
  return h(
    "tr.branch", { "data-row": true, "data-key": `${item.key}/` },
    h("td.wide", h("a", { href: place("memory", { prefix: item.key }), title: item.key }, `${name}/`)),
    h("td.num", { colspan: "4" }, h("span.faint", item.more ? `more than ${item.records} records` : item.records === 1 ? "1 record" : `${item.records} records`)),
  );
}

function leafRow(item, prefix) {
  const name = prefix ? item.key.slice(prefix.length + 1) : item.key;
  return h(
    "tr", { "data-row": true, "data-key": item.key, class: item.telemetry ? "operation" : "" },
    h("td.wide", h("a", { href: place("memory", { key: item.key }), title: item.key }, name)),
    h("td.num", number(item.version)),
    h("td", agentName(item.author)),
    h("td.num", when(item.updated_ms)),
    h("td.num", size(item.bytes)),
  );
}

function kindsCard(kinds) {
  if (!kinds.length) return null;
  const most = Math.max(...kinds.map((kind) => kind.bytes), 1);
  const rows = kinds.map((kind) => h(
    "tr", { "data-row": true, "data-key": kind.category, class: kind.telemetry ? "operation" : "" },
    h("td", kind.category.replaceAll("_", " ")),
    h("td.num", number(kind.records)),
    h("td.num", size(kind.bytes)),
    h("td.wide", h("meter", { min: "0", max: String(most), value: String(kind.bytes), "aria-label": `${kind.category}: ${size(kind.bytes)}` })),
    h("td.num", kind.retention_s === null ? "for good" : duration(kind.retention_s)),
  ));
  return card("By category", { key: "kinds" },
    table("What is kept, by category", [["Category", "", "w-agent"], ["Records", "num", "w-since"], ["Size", "num", "w-since"], [h("span.unseen", "Share")], ["Kept", "num", "w-ago"]], rows, "kinds"));
}

function changedCard(latest) {
  // The last change of each key; the feed of the page Now has them all.
  const seen = new Set();
  const last = latest.filter((line) => !seen.has(line.key) && seen.add(line.key));
  const rows = last.map((line) => h(
    "li", { "data-key": line.seq, "data-row": true },
    h("div.line", agentName(line.author), h("span.verb", VERBS[line.op] || line.op), when(line.at_ms)),
    h("div.line", keyLink(line.key), line.text ? h("span.text", line.text) : null),
  ));
  return card("Changed last", { key: "changed" }, rows.length ? h("ol.feed", rows) : h("p.none", "No memory has changed yet."));
}

function found(hits, question) {
  const rows = hits.map((hit) => h(
    "li", { "data-row": true, "data-key": hit.record.key },
    h("div.line", keyLink(hit.record.key), hit.record.provenance?.stale ? badge("stale", "warn") : null, h("span.score", { title: "how well it answers, 0 to 1" }, hit.score.toFixed(2))),
    h("p.snippet", hit.snippet),
    h("div.line.faint", agentName(hit.record.author), when(hit.record.updated_ms), h("span", `version ${hit.record.version}`)),
  ));
  return card("Found", { count: number(hits.length), key: "found" }, rows.length
    ? h("ol.hits", rows)
    : empty("Nothing answers that", `No memory shares words with “${question.slice(0, 80)}”. Operations are not searched.`));
}
