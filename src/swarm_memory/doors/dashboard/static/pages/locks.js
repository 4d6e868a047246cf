// Locks: who holds what, since when, and who stands in line.

import { h } from "../lib/dom.js";
import { page } from "../lib/page.js";
import { agentName, badge, card, empty, number, plural } from "../lib/parts.js";
import { when } from "../lib/time.js";

export default {
  show(target, { swarm }) {
    return page(target, {
      swarm,
      question: "locks",
      title: "Locks",
      lead: "What only one may do at a time: who does it, and who waits for it.",
      draw: ({ leases }) => leases.length
        ? card("Leases", { count: number(leases.length), key: "leases" }, h("ul.leases", leases.map(lease)))
        : card("Leases", { count: "0", key: "leases" }, empty(
            "No lock is held",
            "Agents lock what only one of them may do, or files that they reserve. A lock has a time to live, so one whose holder is gone is free again:",
            "swarm-memory lock deploy --ttl 60",
          )),
    });
  },
};

function lease({ name, holds, waits }) {
  return h(
    "li", { "data-row": true, "data-key": name, tabindex: "-1" },
    h("p.line", h("span.name", { title: name }, name), waits.length ? badge(`${plural(waits.length, "waits", "wait")}`, "warn") : null),
    h("ol.queue",
      holds.map((seat) => person(seat, h("span", badge(seat.mode, "lock"), " held for ", when(seat.since_ms, "for"), ", lapses ", when(seat.expires_ms), h("span.faint", ` token ${number(seat.token)}`)))),
      waits.map((seat) => person(seat, h("span", badge(seat.state === "granted" ? "its turn" : "waits", "warn"), ` for ${seat.mode}, since `, when(seat.since_ms, "for"))))),
  );
}

function person(seat, about) {
  return h("li", { "data-key": seat.holder }, agentName(seat.agent), about, seat.reason ? h("span.text", seat.reason) : null);
}
