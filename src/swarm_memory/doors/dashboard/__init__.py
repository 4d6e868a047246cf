"""The dashboard: pages for people, served by `swarm-memory serve` at `/ui`.

`files` serves what a browser loads, which holds nothing of anybody; `data` answers what the pages
ask beyond the API, and `news` tells them that something was committed. What the answers say is up
to `overview`; here are no rules.

A page is added in four places:

1. what it shows: a method of `swarm_memory.overview.Overview` (a module in that package), unless a
   verb of the API has it;
2. where it is asked for: a line in `data.QUESTIONS`;
3. how it looks: a module in `static/pages/` whose default export has `show(place, context)`, which
   may return `{update, close}`;
4. that it is there: a line in `static/pages/index.js`.

Texts get into the page as text (`static/lib/dom.js`), never as markup.
"""
