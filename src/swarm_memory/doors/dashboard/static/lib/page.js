// What most pages do: ask one question, show the answer, and ask again when something happened.

import { look } from "./api.js";
import { h, render } from "./dom.js";
import { steady } from "./steady.js";
import { setNow } from "./time.js";

const REST_MS = 10_000; // without news it is asked anew so often: waits grow by themselves

/** Return the handle of a page. `draw(answer)` returns what is below the heading. */
export function page(target, { swarm, question, title, lead, draw, after = null }) {
  const life = new AbortController();
  const heading = () => h("div.page-head", { "data-key": "head" }, h("h1", title), h("p.lead", lead));

  const refresh = steady(async () => {
    try {
      const answer = await look(swarm, question, {}, life.signal);
      if (answer.now_ms) setNow(answer.now_ms);
      render(target, heading(), draw(answer));
      after?.(answer);
    } catch (error) {
      if (life.signal.aborted) return;
      render(target, heading(), h("div.problem", { role: "alert" }, `${error.message}. `, error.hint || ""));
    }
  });

  render(target, heading());
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
