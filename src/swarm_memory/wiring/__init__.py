"""Wiring: entering swarm-memory in the settings of agents' tools, and taking it out again.

    place = place_of(directory, environment)
    ledger = Ledger(place.records)
    changes = claude.plan(ledger, place, "user")
    shown = [line for change in changes for line in change.diff()]
    apply(ledger, changes)

What is ours is entered and removed as text: nothing else of a file changes by a byte. What was
entered is remembered in a file of its own, so that exactly that is removed.
"""
