"""Moving swarms between stores while everybody goes on working, and the routes that lead to them.

move_swarm("routes:…/routes.json", "alpha", "postgresql://db.example.org/agents")
"""

from __future__ import annotations

from swarm_memory.engine.routes import without_password
from swarm_memory.moving.move import Moved, move_all, move_swarm
from swarm_memory.moving.places import Place, drop_copy, home_of, places_of, set_route, swarms_in

__all__ = [
    "move_swarm",
    "move_all",
    "drop_copy",
    "home_of",
    "places_of",
    "set_route",
    "swarms_in",
    "without_password",
    "Moved",
    "Place",
]
