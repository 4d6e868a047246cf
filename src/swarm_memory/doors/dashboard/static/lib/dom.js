// Elements from data. Whatever comes from the store becomes a text node or an attribute's value,
// and is never read as markup.

const HANDLERS = ["onclick", "onsubmit", "oninput", "onchange", "onkeydown", "ontoggle"];

/** Make an element: h("a.quiet", { href }, "text", child, [more]). null and false are left out. */
export function h(name, ...rest) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  let children = rest;
  const first = rest[0];
  if (first && typeof first === "object" && !(first instanceof Node) && !Array.isArray(first)) {
    children = rest.slice(1);
    for (const [key, value] of Object.entries(first)) set(element, key, value);
  }
  add(element, children);
  return element;
}

function set(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key === "class") {
    for (const name of String(value).split(" ")) if (name) element.classList.add(name);
  } else if (key.startsWith("on")) {
    if (!HANDLERS.includes(key)) throw new Error(`no handler ${key}`);
    element[key] = value;
  } else if (key === "href") {
    // Links lead only to places of the dashboard, whatever a key looks like.
    if (!String(value).startsWith("#")) throw new Error(`a link to ${value}`);
    element.setAttribute("href", value);
  } else {
    element.setAttribute(key, value === true ? "" : String(value));
  }
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false || child === "") continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Make `old` look like `made`, keeping the elements that are the same: focus, selection and
 * scroll stay where they are, and what has not changed does not move. */
export function morph(old, made) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== made.data) old.data = made.data;
    return;
  }
  if (old.dataset.own !== undefined) return; // it looks after itself
  for (const { name } of [...old.attributes]) {
    if (!made.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of made.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const handler of HANDLERS) old[handler] = made[handler];
  morphChildren(old, [...made.childNodes]);
}

/** Give `parent` the children `made`, as `morph` does. Those with a data-key are found by it. */
export function morphChildren(parent, made) {
  const keyed = new Map();
  const keys = new Set(made.map((wanted) => wanted.dataset?.key));
  for (const child of [...parent.childNodes]) {
    if (!child.dataset?.key) continue;
    if (keys.has(child.dataset.key)) keyed.set(child.dataset.key, child);
    else child.remove();
  }
  let at = parent.firstChild;
  for (const wanted of made) {
    const key = wanted.dataset?.key;
    const known = key ? keyed.get(key) : at && !at.dataset?.key ? at : null;
    if (known && known.nodeType === wanted.nodeType && known.nodeName === wanted.nodeName) {
      if (known !== at) parent.insertBefore(known, at);
      else at = at.nextSibling;
      morph(known, wanted);
      if (key) keyed.delete(key);
    } else {
      parent.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** Show `children` in `place`, keeping what is the same. */
export function render(place, ...children) {
  const made = h("div", children);
  morphChildren(place, [...made.childNodes]);
}

/** A place for an element that looks after itself; `fill` puts it there, once. */
export const slot = (name, cls = "") => h("div", { class: cls, "data-own": "", "data-key": name });

export function fill(place, name, element) {
  const found = place.querySelector(`[data-own][data-key="${name}"]`);
  if (found && element.parentNode !== found) found.replaceChildren(element);
}
