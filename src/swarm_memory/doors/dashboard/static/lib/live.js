// The news of a swarm: a stream that begins again whenever it ends. It is fetched, because an
// EventSource cannot bear a token.

import { ask } from "./api.js";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const SILENT_MS = 40_000; // the server says every 15 s that it is there

/** Follow a swarm until the function that is returned is called.
 *
 * `hello` is called whenever the stream has begun: everything may have changed since the last one.
 * `news` gets {seq, events}. `state` gets "live", "away" (with the reason) or "refused".
 */
export function follow(swarm, { hello, news, state }) {
  const life = new AbortController();
  let tries = 0;

  async function once() {
    const silence = new AbortController();
    const signal = AbortSignal.any([life.signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENT_MS);
    try {
      const path = `/ui/data/swarms/${encodeURIComponent(swarm)}/news`;
      const response = await ask(path, { signal });
      if (response.status === 401) return "refused";
      if (!response.ok) return `the server answered ${response.status}`;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let waiting = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return "the server ended the connection";
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENT_MS);
        waiting += value;
        const messages = waiting.split("\n\n");
        waiting = messages.pop();
        for (const message of messages) {
          const said = parsed(message);
          if (said.event === "hello") {
            tries = 0;
            state("live");
            hello();
          } else if (said.event === "news") {
            news(JSON.parse(said.data));
          } else if (said.event === "lost") {
            return JSON.parse(said.data).message;
          }
        }
      }
    } catch {
      return "the server does not answer";
    } finally {
      clearTimeout(timer);
    }
  }

  async function forever() {
    while (!life.signal.aborted) {
      const why = await once();
      if (life.signal.aborted) return;
      if (why === "refused") {
        state("refused");
        return;
      }
      state("away", why);
      const pause = PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)];
      tries += 1;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  forever();
  return () => life.abort();
}

function parsed(message) {
  const said = { event: "message", data: "" };
  for (const line of message.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) said[line.slice(0, at)] = line.slice(at + 1).trimStart();
  }
  return said;
}
