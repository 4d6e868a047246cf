// What happened last, as a list that does not move under the hand of who reads it.

import { h, render } from "./dom.js";
import { agentName, keyLink, number, plural } from "./parts.js";
import { when } from "./time.js";

export const VERBS = { put: "wrote", delete: "deleted", expire: "expired", rollback: "rolled back", touch: "kept", forget: "forgot" };
const KEPT_MAX = 60;

/** A feed: `set(lines)` shows the last lines of the log; who points at it sees them later. */
export function feed(announce) {
  let known = [];
  let waiting = null;
  let newest = 0;
  const list = h("ol.feed", { tabindex: "0", "aria-label": "Latest events" });
  const more = h("button.more", { type: "button", hidden: true, onclick: () => flush() });
  const element = h(
    "section.card.latest",
    { "aria-labelledby": "h-latest" },
    h("div.card-head", h("h2", { id: "h-latest" }, "Latest"), h("div.extra", more)),
    list,
  );
  const reading = () => list.scrollTop > 4 || list.matches(":hover, :focus-within");

  function flush() {
    if (waiting) known = waiting;
    waiting = null;
    more.hidden = true;
    draw(list, known);
  }

  list.addEventListener("mouseleave", () => reading() || flush());

  function set(lines) {
    const fresh = newest ? lines.filter((line) => line.seq > newest) : [];
    if (lines.length) newest = Math.max(newest, lines[0].seq);
    if (fresh.length) {
      const last = fresh[0];
      announce(`${plural(fresh.length, "new event")}; the last: ${last.author} ${VERBS[last.op] || last.op} ${last.key}`);
    }
    const first = known.length === 0;
    waiting = lines.slice(0, KEPT_MAX);
    if (first || !reading()) {
      flush();
      return;
    }
    const unseen = waiting.filter((line) => line.seq > (known[0]?.seq ?? 0)).length;
    more.hidden = unseen === 0;
    more.textContent = `${number(unseen)} new`;
  }

  return { element, set };
}

function draw(list, lines) {
  if (!lines.length) {
    render(list, h("li.none", "Nothing has happened yet. Whatever agents write, delete or do shows up here."));
    return;
  }
  render(list, lines.map(entry));
}

function entry(line) {
  return h(
    "li",
    { "data-key": line.seq, "data-row": true, class: line.telemetry ? "operation" : "" },
    h("div.line", agentName(line.author), h("span.verb", line.telemetry ? "did" : VERBS[line.op] || line.op), when(line.at_ms)),
    line.telemetry && line.text
      ? h("div.line", keyLinkWith(line))
      : h("div.line", keyLink(line.key), line.text ? h("span.text", line.text) : null),
  );
}

function keyLinkWith(line) {
  const link = keyLink(line.key);
  link.replaceChildren(h("span.name", line.text));
  return link;
}
