// The pages, in the order of the navigation. A module's default export has `show(place, context)`:
// it fills the element `place` and may return {update(news), close()}. `context` has the `swarm`,
// the `parameters` of the address, `acts` (whether anything may be changed) and `announce(text)`.

export const PAGES = [
  { name: "now", title: "Now", load: () => import("./now.js") },
  { name: "memory", title: "Memory", load: () => import("./memory.js") },
  { name: "shown", title: "Shown", load: () => import("./shown.js") },
  { name: "conflicts", title: "Conflicts", load: () => import("./conflicts.js") },
  { name: "messages", title: "Messages", load: () => import("./messages.js") },
  { name: "locks", title: "Locks", load: () => import("./locks.js") },
  { name: "learning", title: "Learning", load: () => import("./learning.js") },
  { name: "health", title: "Health", load: () => import("./health.js") },
];
