// JSON with its parts told apart: names, texts, numbers, words.

import { h } from "./dom.js";

const PART = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;
const COLORED_MAX = 60_000; // characters; a longer text stays plain, it would take too long

/** A JSON text as an element that can be scrolled by keyboard. */
export function json(text, label) {
  const place = h("pre.json", { tabindex: "0", role: "group", "aria-label": label });
  if (text.length > COLORED_MAX) {
    place.append(text);
    return place;
  }
  let end = 0;
  for (const found of text.matchAll(PART)) {
    place.append(text.slice(end, found.index));
    const [whole, string, colon, figure] = found;
    if (string && colon) place.append(h("span.j-name", string), colon);
    else place.append(h(string ? "span.j-text" : figure ? "span.j-number" : "span.j-word", whole));
    end = found.index + whole.length;
  }
  place.append(text.slice(end));
  return place;
}
