// Plots of figures over time, with what they show in words beside them.

import { h } from "./dom.js";
import { load } from "./plot.js";

const HEIGHT = 150;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A plot that keeps itself: `set(data, summary)` with data as uPlot takes it, times in seconds.
 *
 * `series` are [label, name of a colour]; `unit(value)` is how a value of the axis is written.
 */
export function lines(title, series, { unit = String, low = null, high = null } = {}) {
  const canvas = h("div.canvas.lines", { "aria-hidden": "true" });
  const words = h("p.below");
  const legend = h("p.legend", series.map(([label, name]) => h("span", h("i", { class: name.slice(2) }), label)));
  const element = h("div.figure", h("h3", title), legend, canvas, words);
  let plot = null;
  let data = null;
  let making = false;

  async function draw() {
    if (making || !data) return;
    if (plot) {
      plot.setData(data);
      return;
    }
    making = true;
    try {
      const uPlot = await load();
      if (canvas.isConnected && canvas.clientWidth) plot = new uPlot(options(canvas.clientWidth), data, canvas);
    } catch (error) {
      words.textContent = error.message;
    } finally {
      making = false;
    }
  }

  function options(width) {
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

  new ResizeObserver(() => {
    if (plot && canvas.clientWidth) plot.setSize({ width: canvas.clientWidth, height: HEIGHT });
    else draw();
  }).observe(canvas);
  document.addEventListener("theme", () => {
    plot?.destroy();
    plot = null;
    draw();
  });

  return {
    element,
    set(given, summary) {
      data = given;
      words.textContent = summary;
      draw();
    },
  };
}
