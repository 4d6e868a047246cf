// Times by the store's clock: how long ago, with the moment itself on hover.

import { h } from "./dom.js";

let behind = 0; // how far this machine's clock is behind the store's, in ms

/** Take the store's time from an answer. */
export function setNow(nowMs) {
  behind = nowMs - Date.now();
}

export function now() {
  return Date.now() + behind;
}

const UNITS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Say how long something takes: "42 s", "3 min", "2 h 10 min". */
export function lasting(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  for (const [index, [size, unit]] of UNITS.entries()) {
    if (seconds < size && size > 1) continue;
    const whole = Math.floor(seconds / size);
    const below = UNITS[index + 1];
    const rest = below && size >= 3600 && whole < 10 ? Math.floor((seconds % size) / below[0]) : 0;
    return rest ? `${whole} ${unit} ${rest} ${below[1]}` : `${whole} ${unit}`;
  }
  return "0 s";
}

function words(ms, how) {
  const away = now() - ms;
  if (how === "for") return lasting(away);
  if (away < -1500) return `in ${lasting(-away)}`;
  return away < 2000 ? "now" : `${lasting(away)} ago`;
}

const EXACT = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** The moment in the clock of the one who looks, "2026-01-31 12:00:05". */
export function exact(ms) {
  return EXACT.format(new Date(ms));
}

/** A moment for an axis whose marks are `stepS` seconds apart: "12:00", "12:00:05" or "01-31". */
export function moment(ms, stepS) {
  const [date, time] = exact(ms).split(" ");
  if (stepS >= 86_400 || time === "00:00:00") return date.slice(5);
  return stepS < 60 ? time : time.slice(0, 5);
}

/** A moment as an element that keeps itself current; `how` is "ago" or "for" (since then). */
export function when(ms, how = "ago") {
  if (ms === null || ms === undefined) return h("span.faint", "–");
  const date = new Date(ms);
  return h(
    "time",
    { datetime: date.toISOString(), title: exact(ms), "data-ms": ms, "data-how": how },
    words(ms, how),
  );
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-ms]")) {
    const text = words(Number(element.dataset.ms), element.dataset.how);
    if (element.textContent !== text) element.textContent = text;
  }
}, 1000);
