"""What goes over HTTP: which verbs there are (`verbs`), and how values look on the way (`shapes`).

Both ends are made from it: the server's routes and its OpenAPI document, and the services that
`Swarm.open("http://…")` calls. Neither end has a list of its own, so they cannot differ.

This package imports nothing by itself.
"""
