// Now: who does what, what they hold and since when, and what happened last.

import { look } from "../lib/api.js";
import { fill, h, render, slot } from "../lib/dom.js";
import { feed } from "../lib/feed.js";
import { agentName, badge, card, empty, number, path, place, plural, size, table } from "../lib/parts.js";
import { activityPlot } from "../lib/plot.js";
import { steady } from "../lib/steady.js";
import { setNow, when } from "../lib/time.js";

const REST_MS = 10_000; // without news it is read anew so often: time alone lets leases lapse
const PAUSE_MS = 700; // between two looks while one change follows the other
const PLOT_MS = 5000; // between two looks at the last hour
const LIVE_MS = 60_000; // who was seen within is at work
const HELD_MAX = 2; // things that are named in a row; the others are counted

export default { show };

function show(target, { swarm, announce }) {
  const life = new AbortController();
  const latest = feed(announce);
  const plot = activityPlot();

  let plotted = 0;
  const refresh = steady(async () => {
    try {
      const now = await look(swarm, "now", {}, life.signal);
      setNow(now.now_ms);
      latest.set(now.latest);
      draw(target, now);
      fill(target, "latest", latest.element);
      fill(target, "activity", plot.element);
      if (Date.now() - plotted < PLOT_MS) return;
      plotted = Date.now();
      plot.set(await look(swarm, "activity", {}, life.signal));
    } catch (error) {
      if (!life.signal.aborted) drawProblem(target, error);
    }
  }, PAUSE_MS);

  refresh();
  const timer = setInterval(() => document.hidden || refresh(), REST_MS);
  return {
    update: refresh,
    close: () => {
      clearInterval(timer);
      life.abort();
    },
  };
}

function drawProblem(target, error) {
  render(target, heading(), h("div.problem", { role: "alert" }, `${error.message}. `, error.hint || ""));
}

const heading = () => h("div.page-head", { "data-key": "head" }, h("h1", "Now"), h("p.lead", "Who does what in this swarm, and what they hold."));

function draw(target, now) {
  render(
    target,
    heading(),
    h("div.tiles", { "data-key": "tiles" }, tiles(now.counts), slot("activity", "tile activity")),
    h(
      "div.columns",
      { "data-key": "columns" },
      h("div.column", { "data-key": "left" }, people(now), files(now), locks(now)),
      h("div.column", { "data-key": "right" }, slot("latest")),
    ),
  );
}

function tile(title, value, below, kind = "") {
  return h("div.tile", { "data-key": title, class: kind }, h("h2", title), h("p.value", value), h("p.below", below));
}

function tiles(counts) {
  const { messages } = counts;
  const contended = counts.contended.length;
  return [
    tile("Agents", number(counts.agents), `in ${plural(counts.sessions, "session")}`),
    tile(
      "Files in change", number(counts.files),
      contended ? `${number(contended)} shared` : "none shared",
      contended ? "warn" : "",
    ),
    tile("Locks held", number(counts.locks), counts.waiting ? `${number(counts.waiting)} waiting` : "nobody waits", counts.waiting ? "warn" : ""),
    tile(
      "Messages", number(messages.ready + messages.delayed),
      messages.dead ? plural(messages.dead, "dead letter") : `${number(messages.claimed)} in hand`,
      messages.dead ? "bad" : "",
    ),
    tile("Memories", number(counts.records), `${size(counts.bytes)} of ${size(counts.limit_bytes)}`),
  ];
}

function people(now) {
  const rows = [];
  let session = null;
  for (const person of now.people) {
    const named = person.session !== null && person.session !== session;
    session = person.session;
    rows.push(personRow(person, now.now_ms, named));
  }
  const columns = [["Agent", "", "w-who"], ["Doing"], ["Holds", "", "w-holds"], ["For", "num", "w-since"], ["Seen", "num", "w-since"]];
  const inside = rows.length
    ? table("Agents at work", columns, rows, "people")
    : empty(
        "No agent is at work",
        "Agents appear here with what they do as soon as one begins a session or writes. Claude Code and Codex do by their hooks:",
        "swarm-memory init --claude",
      );
  return card("Agents", { count: number(now.people.length), key: "people" }, inside);
}

function personRow(person, nowMs, first) {
  const active = nowMs - person.seen_ms < LIVE_MS;
  const doing = person.task
    ? h("a.doing", { href: place("memory", { key: person.task.key }), title: person.task.text || "" }, person.task.task_id)
    : null;
  const last = person.last
    ? h("a.last", { href: place("memory", { key: person.last.key }), title: person.last.key }, person.last.text || `${person.last.op} ${person.last.key}`)
    : h("span.faint", "nothing recorded yet");
  return h(
    "tr",
    { "data-row": true, "data-key": person.agent, class: first ? "first" : "" },
    h(
      "td",
      h("div.who-cell",
      h("span.dot", { class: active ? "on" : "", title: active ? "seen within a minute" : "quiet" }),
      h("a.who", { href: place("shown", { agent: person.agent }), title: `What ${person.agent} was shown` }, agentName(person.agent)),
      person.branch && person.main ? h("span.branch", { title: `works on branch ${person.branch}` }, person.branch) : null),
    ),
    h("td.wide", doing, doing ? h("span.faint", " · ") : null, last),
    h("td", held(person)),
    h("td.num", when(person.since_ms, "for")),
    h("td.num", when(person.seen_ms)),
  );
}

function held(person) {
  const all = [
    ...person.waits.map((name) => badge(`waits for ${name}`, "warn", name)),
    ...person.files.map((file) => badge(file.split("/").pop(), "file", file)),
    ...person.locks.map((name) => badge(name, "lock", `holds ${name}`)),
  ];
  if (!all.length) return h("span.faint", "–");
  const shown = all.slice(0, HELD_MAX);
  return h("span.badges", shown, all.length > HELD_MAX ? h("span.faint", `+${all.length - HELD_MAX}`) : null);
}

function files(now) {
  const contended = new Set(now.counts.contended);
  const rows = now.files.map((file) =>
    h(
      "tr",
      { "data-row": true, "data-key": `${file.agent} ${file.worktree} ${file.path}` },
      h("td.wide", h("div.path-cell", path(file.path), contended.has(file.path) ? badge("shared", "warn", "more than one agent changes it") : null)),
      h("td", agentName(file.agent)),
      h("td", file.branch ? badge(file.branch, "branch") : h("span.faint", "–")),
      h("td.num", number(file.edits)),
      h("td.num", when(file.since_ms, "for")),
      h("td.num", when(file.at_ms)),
    ),
  );
  const columns = [["File"], ["Agent", "", "w-agent"], ["Branch", "", "w-branch"], ["Edits", "num", "w-few"], ["For", "num", "w-since"], ["Last", "num", "w-since"]];
  const inside = rows.length
    ? table("Files that are being changed", columns, rows)
    : empty("No file is being changed", "A file is listed from an agent's first edit until it stops, commits, or is idle for 15 minutes.");
  return card("Files in change", { count: number(now.counts.files), key: "files" }, inside);
}

function locks(now) {
  const rows = now.locks.map((lock) =>
    h(
      "tr",
      { "data-row": true, "data-key": lock.holder },
      h("td.wide", h("span.name", { title: lock.reason || "" }, lock.name), lock.reason ? h("span.faint", ` ${lock.reason}`) : null),
      h("td", agentName(lock.agent)),
      h("td", badge(lock.state === "held" ? lock.mode : "waits", lock.state === "held" ? "lock" : "warn")),
      h("td.num", lock.token === null ? h("span.faint", "–") : number(lock.token)),
      h("td.num", when(lock.since_ms, "for")),
      h("td.num", when(lock.expires_ms)),
    ),
  );
  const columns = [["Name"], ["Agent", "", "w-agent"], ["Mode", "", "w-mode"], ["Token", "num", "w-few"], ["For", "num", "w-since"], ["Lapses", "num", "w-ago"]];
  const inside = rows.length
    ? table("Locks", columns, rows)
    : empty("No lock is held", "Agents lock what only one of them may do, or files that they reserve:", "swarm-memory lock deploy --ttl 60");
  return card("Locks", { count: number(now.locks.length), key: "locks" }, inside);
}
