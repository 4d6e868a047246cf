"""The HTTP door: one process that answers hooks and MCP clients, `swarm-memory serve`.

`app` puts the routes together and `guard` stands before all of them; `hooks` is the route of hooks,
whose stores `stores` keeps open; `streams` ends what stays open; `serving` binds the port and ends
on a signal. A new room of the server (an API for programs, pages for people) is a module here that
gives its routes to `app`.

This package imports nothing by itself: the command line names it only in `swarm-memory serve`.
"""
