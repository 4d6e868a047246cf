// One record: its value, what is known of it, its versions and their differences; and with a token
// edit, keep, mark, forget.

import { Refused, change, keyPath, look } from "../lib/api.js";
import { difference, near } from "../lib/diff.js";
import { fill, h, render, slot } from "../lib/dom.js";
import { json } from "../lib/json.js";
import { agentName, badge, card, confirmed, duration, number, place, plural, size, table, toast } from "../lib/parts.js";
import { steady } from "../lib/steady.js";
import { when } from "../lib/time.js";

export function showRecord(target, { swarm, parameters, acts, announce }) {
  const life = new AbortController();
  const { key } = parameters;
  const texts = new Map(); // of versions that were fetched
  let record = null;
  let problem = null;
  let editing = null; // {version, area, say, element}
  let compared = parameters.version ? Number(parameters.version) : null;

  const refresh = steady(async () => {
    try {
      const read = await look(swarm, "record", { key }, life.signal);
      if (record && read.version !== record.version) announce(`${key} is now at version ${read.version}`);
      record = read;
      problem = null;
      await compare(compared, false);
    } catch (error) {
      if (life.signal.aborted) return;
      problem = error;
    }
    draw();
  });

  async function textOf(version) {
    if (version === record.version) return record.text;
    if (!texts.has(version)) {
      const read = await look(swarm, "version", { key, version }, life.signal);
      texts.set(version, read.text);
    }
    return texts.get(version);
  }

  async function compare(version, redraw = true) {
    compared = version;
    if (version !== null) {
      try {
        await Promise.all([version, before(version)].filter(Boolean).map(textOf));
      } catch (error) {
        if (life.signal.aborted) return;
        toast(error.message, "bad");
        compared = null;
      }
    }
    if (redraw) draw();
  }

  /** The version that one is compared with: the kept one before it. */
  const before = (version) => record.versions.find((each) => each.version < version)?.version ?? null;

  // --- changes ---

  async function changed(work, done) {
    try {
      await work();
      toast(done);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      toast(error.code === "conflict" ? "Somebody changed it meanwhile; look again." : `${error.message} ${error.hint}`, "bad");
      return false;
    } finally {
      refresh();
    }
  }

  function put(text, provenance, expect) {
    const ttl = record.edit.ttl_s === null ? "" : `,"ttl_s":${record.edit.ttl_s}`;
    const body = `{"value":${text},"expect":${expect},"on_conflict":"reject","provenance":${JSON.stringify(provenance)}${ttl}}`;
    return change(swarm, "PUT", keyPath("records", key), body);
  }

  async function save() {
    const text = editing.area.value;
    try {
      JSON.parse(text);
    } catch (error) {
      editing.say(`That is no JSON: ${error.message}`);
      return;
    }
    try {
      await put(text, record.edit.provenance, editing.version);
    } catch (error) {
      editing.say(error.code === "conflict"
        ? "Somebody wrote a newer version while you were editing. Yours is still here: copy it, cancel, and look at theirs."
        : `${error.message} ${error.hint || ""}`);
      return;
    }
    editing = null;
    toast("Saved");
    refresh();
  }

  async function forget() {
    const sure = await confirmed(
      "Forget this memory?",
      [h("p", h("code", key)), h("p", "Agents do not find it any more. Its history is kept for a while, and bringing back a version undoes this. To remove it for good, from history and backups too: ", h("code", "swarm-memory forget --text"))],
      "Forget", { danger: true },
    );
    if (!sure) return;
    await changed(() => change(swarm, "DELETE", `${keyPath("records", key)}?expect=${record.version}`), "Forgotten");
  }

  async function mark() {
    if (record.stale) {
      await changed(() => put(record.text, record.edit.provenance, record.version), "No longer marked");
      return;
    }
    const said = await confirmed(
      "Mark as stale?",
      h("p", "It stays, but agents are no longer shown it until somebody writes it anew."),
      "Mark as stale", { field: "Why (others will read it)" },
    );
    if (!said) return;
    const stale = { reason: said.text, author: record.author };
    await changed(() => put(record.text, { ...record.edit.provenance, stale }, record.version), "Marked as stale");
  }

  const pin = () => changed(
    () => change(swarm, "POST", keyPath("touch", key), JSON.stringify({ ttl_s: record.pin.ttl_s, expect: record.version })),
    record.pinned ? "Unpinned" : "Pinned: it does not expire until somebody writes it anew",
  );

  const restore = (version) => changed(
    () => change(swarm, "POST", keyPath("rollback", key), JSON.stringify({ version })),
    `Brought back version ${version} as the newest`,
  );

  // --- looks ---

  function actions() {
    if (!acts || record.deleted || editing) return null;
    const button = (text, work, cls = "") => h("button", { type: "button", onclick: () => work(), class: cls }, text);
    return h(
      "div.actions",
      record.cut ? null : button("Edit", () => { editing = editor(); draw(); editing.area.focus(); }),
      record.expires_ms === null ? null : button(record.pinned ? "Unpin" : "Pin", pin),
      record.cut ? null : button(record.stale ? "No longer stale" : "Mark stale", mark),
      button("Forget", forget, "danger"),
    );
  }

  function value() {
    if (editing) return slot("edit");
    if (record.deleted) return card("Value", { key: "value" }, h("p.none", "It was deleted. Its earlier versions are below."));
    return card(
      "Value", { key: "value", extra: record.cut ? badge("cut", "warn", "only its beginning is shown") : null },
      json(record.text, "Value"),
    );
  }

  /** What a version is edited with. It stays as it is while the page around it goes on. */
  function editor() {
    const { version, text } = record;
    const area = h("textarea", { id: "editor", spellcheck: "false", rows: String(Math.min(30, Math.max(8, text.split("\n").length + 1))) });
    area.value = text;
    const problemLine = h("p.problem", { role: "alert", hidden: true });
    const cancel = () => { editing = null; draw(); };
    const element = h(
      "section.card", { "aria-labelledby": "h-edit" },
      h("div.card-head", h("h2", { id: "h-edit" }, `Edit version ${version}`)),
      h("label.field", { for: "editor" }, "Value, as JSON", area),
      problemLine,
      h("div.buttons",
        h("button", { type: "button", onclick: cancel }, "Cancel"),
        h("button.primary", { type: "button", onclick: save }, "Save")),
    );
    const say = (words) => {
      problemLine.hidden = !words;
      problemLine.textContent = words;
    };
    return { version, area, say, element };
  }

  function draw() {
    if (problem) {
      render(target, head(), h("div.problem", { role: "alert" }, problem.status === 404 ? `${key} is not there. It has expired, or never was.` : `${problem.message}. ${problem.hint || ""}`));
      return;
    }
    if (!record) {
      render(target, head());
      return;
    }
    if (editing && record.version !== editing.version) {
      editing.say(`Meanwhile it is at version ${record.version}; saving this will be refused.`);
    }
    render(
      target,
      head(),
      h("div.columns", { "data-key": "columns" },
        h("div.column", { "data-key": "left" }, value(), compared === null ? null : compareCard(), versions()),
        h("div.column", { "data-key": "right" }, facts(), provenance())),
    );
    if (editing) fill(target, "edit", editing.element);
  }

  function head() {
    const at = key.lastIndexOf("/");
    const parent = at > 0 ? key.slice(0, at) : "";
    return h(
      "div.page-head.record-head", { "data-key": "head" },
      h("p.up", h("a", { href: place("memory", { prefix: parent }) }, parent ? `${parent}/` : "all keys")),
      h("h1", h("span.mono", key.slice(at + 1))),
      record && !problem ? h("div.marks",
        record.deleted ? badge("deleted", "bad") : null,
        record.pinned ? badge("pinned", "good") : null,
        record.stale ? badge("stale", "warn", record.stale.reason || null) : null,
        record.category.telemetry ? badge("operation", "", "what happened, not what is known") : null,
        actions()) : null,
    );
  }

  function facts() {
    const { category } = record;
    const fact = (name, ...said) => [h("dt", name), h("dd", said)];
    return card("About", { key: "about" }, h(
      "dl.facts",
      fact("Version", number(record.version)),
      fact("Author", agentName(record.author)),
      fact("Changed", when(record.updated_ms)),
      fact("Created", when(record.created_ms)),
      fact("Expires", record.expires_ms === null ? "never" : record.pinned ? "never (pinned)" : when(record.expires_ms)),
      fact("Category", `${category.name}: kept ${category.retention_s === null ? "for good" : duration(category.retention_s)}, ${category.versions_max} versions`),
      record.session ? fact("Session", h("span.mono", record.session)) : null,
      record.stale ? fact("Stale", record.stale.reason || "no reason given") : null,
      fact("Shown", h("a", { href: place("shown", { item: key }) }, "to whom, and why")),
    ));
  }

  function provenance() {
    if (!record.provenance) return card("Provenance", { key: "provenance" }, h("p.none", "Nothing is recorded of where it comes from."));
    return card("Provenance", { key: "provenance" }, json(JSON.stringify(record.provenance, null, 2), "Provenance"));
  }

  function versions() {
    const rows = record.versions.map((each) => h(
      "tr", { "data-row": true, "data-key": each.version, class: each.version === compared ? "chosen" : "" },
      h("td.num", number(each.version)),
      h("td", agentName(each.author)),
      h("td", each.deleted ? badge("deleted", "bad") : size(each.bytes)),
      h("td", when(each.updated_ms)),
      h("td.row-actions",
        h("button.quiet", { type: "button", "aria-pressed": String(each.version === compared), onclick: () => compare(each.version === compared ? null : each.version) }, "Difference"),
        acts && each.version !== record.version && !each.deleted ? h("button.quiet", { type: "button", onclick: () => restore(each.version) }, "Bring back") : null),
    ));
    return card("History", { count: number(rows.length), key: "history" },
      table("Versions", [["Version", "num"], ["Author"], ["Size"], ["When"], [""]].map(([t, c]) => [t || h("span.unseen", "What to do"), c]), rows));
  }

  function compareCard() {
    const older = before(compared);
    const now = compared === record.version ? record.text : texts.get(compared);
    const then = older === null ? "" : older === record.version ? record.text : texts.get(older);
    if (now === undefined || then === undefined) return null;
    const lines = near(difference(then, now));
    const title = older === null ? `Version ${compared}, the oldest that is kept` : `Version ${older} → ${compared}`;
    return card(title, { key: "difference", extra: h("button.quiet", { type: "button", onclick: () => compare(null) }, "Close") },
      h("pre.diff", { tabindex: "0", role: "group", "aria-label": "Difference" }, lines.map(([how, text]) =>
        how === null
          ? h("span.skip-lines", `${plural(text, "line")} unchanged\n`)
          : h("span", { class: how === "+" ? "come" : how === "-" ? "gone" : "" }, `${how} ${text}\n`))));
  }

  draw();
  refresh();
  return {
    update: ({ seq, events }) => {
      if (seq === null || !record || events.some((event) => event.key === key)) refresh();
    },
    close: () => life.abort(),
  };
}
