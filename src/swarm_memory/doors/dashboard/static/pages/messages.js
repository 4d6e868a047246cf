// Messages: how full the queues are, what lies there that nobody finishes, and the dead letters.

import { change } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { page } from "../lib/page.js";
import { agentName, attempt, badge, card, duration, empty, number, table } from "../lib/parts.js";
import { when } from "../lib/time.js";

export default {
  show(target, { swarm, acts, announce }) {
    let dead = null;
    let handle = null;

    async function revive(message) {
      const body = JSON.stringify({ message_id: message.message_id });
      await attempt(() => change(swarm, "POST", "messages/revive", body), "It is back in its queue, with all its attempts");
      handle.update();
    }

    handle = page(target, {
      swarm,
      question: "messages",
      title: "Messages",
      lead: "What agents told each other and nobody has finished yet.",
      draw(answer) {
        if (dead !== null && answer.counts.dead > dead) announce(`${answer.counts.dead} dead letters`);
        dead = answer.counts.dead;
        return [tiles(answer.counts), queues(answer.queues), letters(answer.dead, acts ? revive : null)];
      },
    });
    return handle;
  },
};

function tiles(counts) {
  const tile = (title, value, below, kind = "") => h("div.tile", { "data-key": title, class: kind }, h("h2", title), h("p.value", number(value)), h("p.below", below));
  return h("div.tiles.four", { "data-key": "tiles" },
    tile("Ready", counts.ready, counts.ready ? `the oldest waits for ${duration(counts.oldest_ms / 1000)}` : "nothing waits"),
    tile("In hand", counts.claimed, "claimed and not acknowledged yet"),
    tile("Delayed", counts.delayed, "not due yet"),
    tile("Dead letters", counts.dead, counts.dead ? "failed every attempt" : "none failed every attempt", counts.dead ? "bad" : ""));
}

function queues(all) {
  const rows = all.map((queue) => {
    const [kind, ...rest] = queue.name.split(":");
    return h(
      "tr", { "data-row": true, "data-key": queue.name },
      h("td.wide", h("div.who-cell", badge(kind === "agent" ? "inbox" : kind, kind === "agent" ? "file" : "lock"), kind === "agent" ? agentName(rest.join(":")) : h("span.name", rest.join(":") || queue.name))),
      h("td.num", number(queue.messages)),
      h("td.num", queue.age_ms ? duration(queue.age_ms / 1000) : "–"),
      h("td", queue.lapsed_ms ? badge(`lapsed ${duration(queue.lapsed_ms / 1000)} ago`, "warn", "a consumer took a message and did not finish it in its time") : h("span.faint", "–")),
    );
  });
  const inside = rows.length
    ? table("Queues", [["Queue"], ["Messages", "num"], ["Oldest", "num"], ["Given up"]], rows)
    : empty("No message waits", "Agents send to each other and to topics; what nobody has acknowledged is listed here:", "swarm-memory send --topic reviews 'look at change 7'");
  return card("Queues", { count: number(rows.length), key: "queues" }, inside);
}

function letters(dead, revive) {
  const rows = dead.map((message) => h(
    "tr", { "data-row": true, "data-key": message.message_id },
    h("td.num", when(message.dead_ms)),
    h("td", message.topic ? h("span.name", message.topic) : agentName(message.to || "")),
    h("td", agentName(message.sender)),
    h("td.wide", h("span.text", message.text)),
    h("td", { title: message.reason || "" }, message.reason || h("span.faint", "no reason given")),
    h("td.num", number(message.attempts)),
    revive ? h("td.row-actions", h("button.quiet", { type: "button", onclick: () => revive(message) }, "Revive")) : null,
  ));
  const columns = [["Died", "num"], ["To"], ["From"], ["Message"], ["Why"], ["Attempts", "num"]];
  if (revive) columns.push([h("span.unseen", "What to do")]);
  const inside = rows.length
    ? table("Dead letters", columns, rows)
    : empty("No dead letters", "A message that failed all its attempts is kept here, with the reason, until somebody revives or forgets it.");
  return card("Dead letters", { count: number(rows.length), key: "dead" }, inside);
}
