// Plots of figures over time, with what they show in words beside them.

import { h } from "./dom.js";
import { color, keepPlot } from "./plot.js";
import { moment } from "./time.js";

const HEIGHT = 150;
const SPAN_S = 60; // the shortest time that is shown: what happened at once is no plot of milliseconds
const STEPS_S = [5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000];
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** A plot that keeps itself: `set(data, summary)` with data as uPlot takes it, times in seconds.
 *
 * `series` are [label, name of a colour]; `unit(value)` is how a value of the axis is written;
 * `binary` puts its steps at powers of two, where bytes are whole.
 */
export function lines(title, series, { unit = String, low = null, high = null, binary = false } = {}) {
  const canvas = h("div.canvas.lines", { "aria-hidden": "true" });
  const words = h("p.below");
  // One line is what the heading says.
  const legend = series.length === 1 ? null : h("p.legend", series.map(([label, name]) => h("span", h("i", { class: name.slice(2) }), label)));
  const element = h("div.figure", h("h3", title), legend, canvas, words);
  function options(_, width) {
    const axis = { stroke: color("--faint"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { size: 5 } },
      padding: [8, 4, 0, 0],
      scales: {
        x: { time: true, range: (_, from, to) => [Math.min(from, to - SPAN_S), to] },
        y: { range: (_, from, to) => [low ?? Math.min(0, from ?? 0), high ?? Math.max((to ?? 0) * 1.1, 1e-9)] },
      },
      axes: [
        { ...axis, space: 70, size: 28, incrs: STEPS_S, values: (_, all, __, ___, step) => all.map((s) => moment(1000 * s, step)) },
        { ...axis, size: 58, ...(binary ? { incrs: BINARY } : {}), values: (_, all) => all.map(unit) },
      ],
      series: [{}, ...series.map(([label, name]) => ({ label, stroke: color(name), width: 1.6, spanGaps: true, points: { show: false } }))],
    };
  }

  const draw = keepPlot(canvas, options, (said) => {
    words.textContent = said;
  });

  return {
    element,
    set(given, summary) {
      words.textContent = summary;
      draw(given);
    },
  };
}
