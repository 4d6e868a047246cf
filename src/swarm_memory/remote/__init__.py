"""A store that a server keeps, `Swarm.open("http://…")`, for agents on other machines.

`client` asks the server, and asks again without anything being applied twice; `services` are
those of a swarm, of which each call is a request; `swarm` puts them together.

This package imports nothing by itself: who has no such URL does not pay for it.
"""
