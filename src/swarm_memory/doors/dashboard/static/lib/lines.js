// Plots of figures over time, with what they show in words beside them.

import { h } from "./dom.js";
import { color, keepPlot } from "./plot.js";

const HEIGHT = 150;

/** A plot that keeps itself: `set(data, summary)` with data as uPlot takes it, times in seconds.
 *
 * `series` are [label, name of a colour]; `unit(value)` is how a value of the axis is written.
 */
export function lines(title, series, { unit = String, low = null, high = null } = {}) {
  const canvas = h("div.canvas.lines", { "aria-hidden": "true" });
  const words = h("p.below");
  const legend = h("p.legend", series.map(([label, name]) => h("span", h("i", { class: name.slice(2) }), label)));
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
        x: { time: true },
        y: { range: (_, from, to) => [low ?? Math.min(0, from ?? 0), high ?? Math.max((to ?? 0) * 1.1, 1e-9)] },
      },
      axes: [{ ...axis, space: 70 }, { ...axis, size: 58, values: (_, all) => all.map(unit) }],
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
