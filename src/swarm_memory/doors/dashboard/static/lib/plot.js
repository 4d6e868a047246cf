// Plots, drawn by uPlot (vendored, MIT), which is loaded when the first one is shown.

import { h } from "./dom.js";
import { plural } from "./parts.js";

let loading = null;

function load() {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = "vendor/uPlot.min.css";
    const script = document.createElement("script");
    script.src = "vendor/uPlot.iife.min.js";
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => reject(new Error("the plot's code cannot be loaded"));
    document.head.append(style, script);
  });
  return loading;
}

export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Keep a plot in `canvas` as wide as that is and in the colours of the theme.
 *
 * `options(uPlot, width)` says how it looks, and `complain` is told why there is none. Returns what
 * shows data, as uPlot takes it.
 */
export function keepPlot(canvas, options, complain) {
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
      if (canvas.isConnected && canvas.clientWidth) plot = new uPlot(options(uPlot, canvas.clientWidth), data, canvas);
    } catch (error) {
      complain(error.message);
    } finally {
      making = false;
    }
  }

  new ResizeObserver(() => {
    if (plot && canvas.clientWidth) plot.setSize({ width: canvas.clientWidth, height: plot.height });
    else draw();
  }).observe(canvas);
  document.addEventListener("theme", () => {
    if (!canvas.isConnected) return;
    plot?.destroy();
    plot = null;
    draw();
  });

  return (given) => {
    data = given;
    draw();
  };
}

/** How many changes there were in each minute of the last hour. `set(activity)` shows them. */
export function activityPlot() {
  const canvas = h("div.canvas", { "aria-hidden": "true" });
  const summary = h("p.below");
  const element = h("div.inside", h("h2", "Changes a minute"), canvas, summary);
  const draw = keepPlot(canvas, options, (words) => {
    summary.textContent = words;
  });

  function set(activity) {
    const seconds = activity.minutes.map(([ms]) => ms / 1000);
    const memories = activity.minutes.map(([, count]) => count);
    const all = activity.minutes.map(([, count, operations]) => count + operations);
    const sum = (list) => list.reduce((a, b) => a + b, 0);
    summary.textContent = `last hour: ${plural(sum(memories), "change")} of memories, ${plural(sum(all) - sum(memories), "operation")}`;
    draw([seconds, all, memories]);
  }

  return { element, set };
}

const HEIGHT = 32;

function options(uPlot, width) {
  const bars = uPlot.paths.bars({ size: [0.72, 14], radius: 0.2 });
  const series = (label, name) => ({ label, fill: color(name), width: 0, paths: bars, points: { show: false } });
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [2, 0, 0, 0],
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(4, high)] } },
    axes: [
      { show: false },
      { show: false },
    ],
    series: [{}, series("operations", "--plot-2"), series("memories", "--plot-1")],
  };
}
