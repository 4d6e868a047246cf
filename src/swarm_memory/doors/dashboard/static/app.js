// The frame: which page is shown, of which swarm, whether it is live, and the keys that hold
// everywhere.

import { Refused, keepToken, start, takeToken, token } from "./lib/api.js";
import { h, render } from "./lib/dom.js";
import { follow } from "./lib/live.js";
import { current, place } from "./lib/parts.js";
import { PAGES } from "./pages/index.js";

const main = document.getElementById("main");
const live = document.getElementById("live");
const SAY_MS = 4000; // between two announcements

let about = null; // what the server said of itself
let shown = null; // the page: {name, swarm, handle}
let unfollow = null;
let turn = 0; // counts the changes of page: who loaded one slowly finds that it is left

function route() {
  const [name, rest = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parameters = Object.fromEntries(new URLSearchParams(rest));
  const page = PAGES.find((each) => each.name === name) || PAGES[0];
  const swarm = parameters.swarm || about.swarm;
  delete parameters.swarm;
  return { page, parameters, swarm };
}

async function go() {
  const mine = ++turn;
  const { page, parameters, swarm } = route();
  const moved = shown?.swarm !== swarm;
  const turned = shown?.name !== page.name || moved;
  current.swarm = swarm;
  shown?.handle?.close?.();
  drawNavigation(page, swarm);
  document.title = `${page.title} · ${swarm} · swarm-memory`;
  const module = await page.load();
  if (mine !== turn) return;
  const inside = h("div.page", { class: `page-${page.name}` });
  const context = { swarm, parameters, acts: about.acts, announce };
  shown = { name: page.name, swarm, handle: null };
  if (turned) {
    main.replaceChildren(inside);
    window.scrollTo(0, 0);
  }
  const target = turned ? inside : main.firstElementChild;
  shown.handle = module.default.show(target, context);
  if (moved) listen(swarm);
}

function listen(swarm) {
  unfollow?.();
  let first = true;
  unfollow = follow(swarm, {
    hello: () => {
      // The page has read everything just before; after a break it has not.
      if (!first) shown?.handle?.update?.({ seq: null, events: [] });
      first = false;
    },
    news: (news) => shown?.handle?.update?.(news),
    state: (state, why) => {
      if (state === "refused") askForToken(true);
      else drawLive(state, why);
    },
  });
}

function drawLive(state, why = "") {
  live.dataset.state = state;
  const text = state === "live" ? "Live" : "Not connected";
  if (live.textContent !== text) live.textContent = text;
  live.title = state === "live" ? "What is committed shows up here at once" : `${why}; trying again`;
  document.body.classList.toggle("away", state !== "live");
}

function drawNavigation(page, swarm) {
  render(
    document.getElementById("pages"),
    PAGES.map((each) =>
      h("li", { "data-key": each.name },
        h("a", { href: place(each.name), "aria-current": each === page ? "page" : null }, each.title)),
    ),
  );
  const names = about.swarms.includes(swarm) ? about.swarms : [...about.swarms, swarm];
  const chooser = document.getElementById("swarm");
  render(chooser, names.map((name) => h("option", { value: name }, name)));
  chooser.value = swarm;
  chooser.closest("label").hidden = false;
}

// --- what is said to those who do not see the page ---

let said = 0;
let waiting = null;

function announce(text) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    said = Date.now();
    document.getElementById("news").textContent = text;
  }, Math.max(0, said + SAY_MS - Date.now()));
}

// --- the token ---

function askForToken(wrong) {
  unfollow?.();
  drawLive("away", "the server asks for a token");
  const input = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = h(
    "form.ask",
    {
      onsubmit: (event) => {
        event.preventDefault();
        keepToken(input.value.trim());
        begin();
      },
    },
    h("h1", "This server asks for a token"),
    h("p", "It is what SWARM_MEMORY_TOKEN holds where the server was started. ",
      h("code", "swarm-memory ui"), " opens this page with it."),
    wrong ? h("p.problem", { role: "alert" }, "That token is missing or wrong.") : null,
    h("label.field", { for: "token" }, "Token", input),
    h("div.buttons", h("button.primary", { type: "submit" }, "Open")),
  );
  shown?.handle?.close?.();
  shown = null;
  main.replaceChildren(form);
  input.focus();
}

async function begin() {
  try {
    about = await start();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return askForToken(token() !== null);
    drawLive("away", error.message);
    render(main, h("div.problem", { role: "alert" }, `The server cannot be asked: ${error.message}. `, error.hint || ""));
    setTimeout(begin, 2000);
    return;
  }
  document.getElementById("version").textContent = `version ${about.version}`;
  const reading = document.getElementById("reading");
  reading.hidden = about.acts;
  render(reading, "Looking only. To change anything, end this server and run ", h("code", "swarm-memory ui"));
  shown?.handle?.close?.();
  shown = null; // whatever was there: the page begins anew
  main.replaceChildren();
  await go();
}

// --- light and dark ---

const dark = matchMedia("(prefers-color-scheme: dark)");
const switcher = document.getElementById("theme");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

function drawTheme() {
  switcher.textContent = isDark() ? "Light" : "Dark";
  switcher.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"}`);
  document.dispatchEvent(new Event("theme"));
}

switcher.onclick = () => {
  const chosen = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem("theme", chosen);
  } catch {
    // It holds until the page is left.
  }
  drawTheme();
};
dark.addEventListener("change", drawTheme);

// --- keys ---

function step(by) {
  const rows = [...main.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  (next.querySelector("a, button") || next).focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    event.preventDefault();
    const search = document.getElementById("search");
    if (search) search.focus();
    else location.hash = place("memory", { find: "1" });
  } else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
});

document.querySelector(".skip").onclick = (event) => {
  event.preventDefault(); // the address says which page is shown
  main.focus();
};
document.getElementById("swarm").onchange = (event) => {
  current.swarm = event.target.value;
  location.hash = place(route().page.name);
};

takeToken();
addEventListener("hashchange", () => {
  if (new URLSearchParams(location.hash.slice(1)).has("token")) {
    takeToken();
    begin();
  } else if (about) go();
});
drawTheme();
begin();
