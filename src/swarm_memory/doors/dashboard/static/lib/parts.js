// Parts that several pages are made of.

import { Refused } from "./api.js";
import { h } from "./dom.js";
import { lasting } from "./time.js";

/** A part of a page with its heading; `extra` stands beside the heading. */
export function card(title, { count = null, extra = null, key = null, cls = "" } = {}, ...children) {
  const id = `h-${(key || title).toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`;
  return h(
    "section.card",
    { "aria-labelledby": id, class: cls, "data-key": key || title },
    h(
      "div.card-head",
      h("h2", { id }, title),
      count === null ? null : h("span.count", count),
      extra === null ? null : h("div.extra", extra),
    ),
    children,
  );
}

/** What stands where nothing is: what would, and what makes it happen. */
export function empty(title, text, command = null) {
  return h(
    "div.empty",
    h("p.empty-title", title),
    h("p", text),
    command === null ? null : h("pre.command", { tabindex: "0" }, command),
  );
}

/** A table. `columns` are [title, class, class of its width]; rows are made by the caller, with h("tr"). */
export function table(label, columns, rows, cls = "") {
  return h(
    "div.scroll",
    { tabindex: "0", role: "group", "aria-label": label },
    h(
      "table",
      { class: cls },
      columns.some((column) => column[2]) ? h("colgroup", columns.map((column) => h("col", { class: column[2] || "" }))) : null,
      h("thead", h("tr", columns.map(([title, kind]) => h("th", { scope: "col", class: kind || "" }, title)))),
      h("tbody", rows),
    ),
  );
}

const numbers = new Intl.NumberFormat("en-US");

export const number = (n) => numbers.format(n).replaceAll(",", "\u2009");

export function size(bytes) {
  let left = bytes;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (left < 1024) return `${left < 10 && unit !== "B" ? left.toFixed(1) : Math.round(left)} ${unit}`;
    left /= 1024;
  }
  return `${left < 10 ? left.toFixed(1) : Math.round(left)} GiB`;
}

export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** A place of the dashboard, in the swarm that is shown. */
export function place(page, parameters = {}) {
  const given = Object.entries({ ...parameters, swarm: current.swarm }).filter(
    ([, value]) => value !== "" && value !== null && value !== undefined,
  );
  return `#/${page}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

export const current = { swarm: null };

const ID = /^\d{13}-[0-9a-f]{13}$/; // what the store names an entry by that has no name

/** What of a key is read: the way to it, without the swarm that is shown anyway, and its name. */
export function keyParts(key) {
  const own = `swarm-${current.swarm}/`;
  const short = key.startsWith(own) ? key.slice(own.length) : key;
  const parts = short.split("/").map(plain);
  const name = parts.pop();
  if (ID.test(name)) {
    // Its time stands beside it, so its kind says more.
    return { way: parts.length > 1 ? `${parts.slice(0, -1).join("/")}/` : "", name: `${parts.at(-1) ?? ""}/…${name.slice(-4)}` };
  }
  return { way: parts.length ? `${parts.join("/")}/` : "", name };
}

/** A segment of a key as the text that it was made of, if it can be turned back. */
function plain(segment) {
  if (!segment.includes("+") || /\+h[0-9a-f]{32}$/.test(segment)) return segment;
  try {
    return decodeURIComponent(segment.replaceAll(/\+([0-9A-F]{2})/g, "%$1"));
  } catch {
    return segment;
  }
}

/** A key as a link to its record: the way to it faint, its name not. */
export function keyLink(key, cls = "") {
  const { way, name } = keyParts(key);
  return h(
    "a.key",
    { href: place("memory", { key }), title: key, class: cls },
    way ? h("span.way", way) : null,
    h("span.name", name),
  );
}

/** An agent's name: what it is called, and faint of which session it is. */
export function agentName(name) {
  const at = name.lastIndexOf("@");
  if (at <= 0) return h("span.agent", { title: name }, h("span.name", name));
  return h("span.agent", { title: name }, h("span.name", name.slice(0, at)), h("span.way", name.slice(at)));
}

/** A path: its folder faint, its file not. */
export function path(text) {
  const at = text.lastIndexOf("/") + 1;
  return h("span.path", { title: text }, at ? h("span.way", text.slice(0, at)) : null, h("span.name", text.slice(at)));
}

export const badge = (text, kind = "", title = null) => h("span.badge", { class: kind, title }, text);

/** A short-lived line about what was done, or why not. */
export function toast(text, kind = "good") {
  let box = document.getElementById("toasts");
  if (!box) {
    box = h("div.toasts", { id: "toasts", role: "status" });
    document.body.append(box);
  }
  const line = h("p.toast", { class: kind }, text);
  box.append(line);
  setTimeout(() => line.remove(), 6000);
}

/** Do a change and say `done`, or why it was refused. */
export async function attempt(work, done) {
  try {
    await work();
    toast(done);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    toast(`${error.message} ${error.hint}`, "bad");
  }
}

/** Ask whether something shall be done; resolves to the fields of the form, or null. */
export function confirmed(title, body, doing, { danger = false, field = null } = {}) {
  return new Promise((resolve) => {
    const input = field ? h("input", { id: "confirm-field", type: "text", maxlength: "500" }) : null;
    const dialog = h(
      "dialog",
      { "aria-labelledby": "confirm-title" },
      h(
        "form",
        {
          method: "dialog",
          onsubmit: () => dialog.close("yes"),
        },
        h("h2", { id: "confirm-title" }, title),
        h("div.dialog-body", body),
        input ? h("label.field", { for: "confirm-field" }, field, input) : null,
        h(
          "div.buttons",
          h("button", { type: "button", onclick: () => dialog.close("") }, "Cancel"),
          h("button.primary", { type: "submit", class: danger ? "danger" : "" }, doing),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? { text: input ? input.value.trim() : "" } : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const duration = (seconds) => lasting(seconds * 1000);
