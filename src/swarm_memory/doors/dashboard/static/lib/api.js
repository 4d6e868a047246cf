// What is asked of the server, and with which token.

const AGENT = "dashboard";

export class Refused extends Error {
  constructor(status, said) {
    super(said.message || `the server answered ${status}`);
    this.status = status;
    this.code = said.error || "";
    this.hint = said.hint || "";
  }
}

/** Take the token out of the address, where others could read it, and keep it for this tab. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get("token");
  if (token === null) return;
  keepToken(token);
  const swarm = given.get("swarm");
  const place = swarm === null ? "#/now" : `#/now?${new URLSearchParams({ swarm })}`;
  history.replaceState(null, "", place);
}

export function keepToken(token) {
  try {
    sessionStorage.setItem("token", token);
  } catch {
    kept = token;
  }
}

let kept = null; // where the browser stores nothing, until the page is left

export function token() {
  try {
    return sessionStorage.getItem("token") ?? kept;
  } catch {
    return kept;
  }
}

/** Fetch from this server as the dashboard's agent. */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("Swarm-Agent", AGENT);
  const known = token();
  // A header has only characters of Latin-1; who types others has no valid token.
  if (known && /^[\x21-\x7e]+$/.test(known)) headers.set("Authorization", `Bearer ${known}`);
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
}

async function answered(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const text = await response.text();
  let said;
  try {
    said = JSON.parse(text);
  } catch {
    said = { message: text.trim() };
  }
  throw new Refused(response.status, said);
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, v]) => v !== "" && v !== null && v !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

const within = (swarm) => `swarms/${encodeURIComponent(swarm)}`;

/** What the frame has to know: swarms, which is shown first, whether anything may be changed. */
export async function start() {
  return answered(await ask("/ui/data/start"));
}

/** Ask a question of `/ui/data` about a swarm. */
export async function look(swarm, question, parameters = {}, signal = undefined) {
  const path = `/ui/data/${within(swarm)}/${question}${query(parameters)}`;
  return answered(await ask(path, { signal }));
}

/** Ask a reading verb of the API. */
export async function read(swarm, path, parameters = {}, signal = undefined) {
  return answered(await ask(`/v1/${within(swarm)}/${path}${query(parameters)}`, { signal }));
}

/** Ask a changing verb of the API. `body` is JSON as a text: numbers keep all their digits. */
export async function change(swarm, method, path, body = null) {
  const options = { method };
  if (body !== null) {
    options.body = body;
    options.headers = { "Content-Type": "application/json" };
  }
  return answered(await ask(`/v1/${within(swarm)}/${path}`, options));
}

/** The path of a key below a verb of records. */
export const keyPath = (verb, key) => `${verb}/${key.split("/").map(encodeURIComponent).join("/")}`;
