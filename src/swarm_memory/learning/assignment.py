"""Assignment: which task to give to whom, so that agents meet each other least.

Two tasks that touch the same file meet if two agents have them. Giving both to one agent avoids
that, but not for ever: agents share the work evenly. This is graph partitioning, which is hard to
solve exactly; tasks are placed one by one where they cost least, and then moved and swapped as
long as that helps.

Source:
    Kernighan and Lin 1970, "An efficient heuristic procedure for partitioning graphs".
"""

from __future__ import annotations

from itertools import combinations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TASKS_MAX, ROUNDS_MAX = 200, 50
GAIN_MIN = 1e-9
REASONS_MAX = 20
# What two tasks that share a file cost, besides the chance of others there: both will touch it.
SHARED = 1.0


class Plan(NamedTuple):
    """Who gets which tasks; `meetings` are the files on which agents will still meet.

    `cost` is their number, each weighted by 1 and the chance that outsiders touch it, and
    `at_random` what an even assignment costs on average; `reasons` are sentences.
    """

    tasks: dict[str, tuple[str, ...]]
    meetings: tuple[tuple[str, str, str], ...]
    cost: float
    at_random: float
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return it as every door shows it."""
        given = {agent: list(names) for agent, names in self.tasks.items()}
        meetings = [{"path": p, "tasks": [a, b]} for p, a, b in self.meetings]
        return self._asdict() | {
            "tasks": given,
            "meetings": meetings,
            "reasons": list(self.reasons),
        }


def assigned(
    tasks: Mapping[str, Sequence[str]],
    agents: Sequence[str],
    risks: Mapping[str, float],
    meet: Callable[[str, str], bool],
) -> Plan:
    """Return an assignment of tasks to agents; the same for the same arguments.

    No agent gets more than its share, rounded up.

    Args:
        tasks: The paths of each.
        agents: At least one.
        risks: How likely outsiders are to touch a path, in [0, 1]; a path without one has none.
        meet: Tells whether two paths, which may be globs, have a file in common.
    """
    names = list(tasks)
    shared = {
        (a, b): found
        for a, b in combinations(names, 2)
        if (found := _shared(tasks[a], tasks[b], meet))
    }
    costs = {
        pair: sum(SHARED + risks.get(path, 0.0) for path in found) for pair, found in shared.items()
    }
    room = -(-len(names) // len(agents))
    placed = _improved(_placed(names, agents, costs, room), agents, costs, room)
    apart = {pair: found for pair, found in shared.items() if placed[pair[0]] != placed[pair[1]]}
    given = {agent: tuple(n for n in names if placed[n] == agent) for agent in agents}
    meetings = tuple((path, *pair) for pair, found in apart.items() for path in found)
    chance = _chance_apart(len(names), len(agents))
    reasons = _reasons(placed, shared, tasks, risks)
    total = sum((costs[pair] for pair in apart), 0.0)
    return Plan(given, meetings, total, chance * sum(costs.values()), reasons)


def _shared(
    left: Sequence[str], right: Sequence[str], meet: Callable[[str, str], bool]
) -> list[str]:
    return [path for path in dict.fromkeys(left) if any(meet(path, other) for other in right)]


def _placed(
    names: Sequence[str],
    agents: Sequence[str],
    costs: Mapping[tuple[str, str], float],
    room: int,
) -> dict[str, str]:
    """Return a first assignment: what is entangled most first, each where it costs least."""
    weight = dict.fromkeys(names, 0.0)
    for (a, b), cost in costs.items():
        weight[a] += cost
        weight[b] += cost
    placed: dict[str, str] = {}
    load = dict.fromkeys(agents, 0)
    for name in sorted(names, key=lambda n: (-weight[n], n)):
        free = [agent for agent in agents if load[agent] < room]
        best = min(free, key=lambda agent: (_cost_of(name, agent, placed, costs), load[agent]))
        placed[name] = best
        load[best] += 1
    return placed


def _improved(
    placed: dict[str, str],
    agents: Sequence[str],
    costs: Mapping[tuple[str, str], float],
    room: int,
) -> dict[str, str]:
    """Return an assignment that no single move or swap makes cheaper."""
    names = sorted({name for pair in costs for name in pair})
    for _ in range(ROUNDS_MAX):
        before = _total(placed, costs)
        for name in names:
            load = [agent for agent in agents if sum(p == agent for p in placed.values()) < room]
            best = min([placed[name], *load], key=lambda a: _cost_of(name, a, placed, costs))
            placed[name] = best
        for name in names:
            for other in placed:
                _swap_if_cheaper(placed, name, other, costs)
        if before - _total(placed, costs) < GAIN_MIN:
            break
    return placed


def _swap_if_cheaper(
    placed: dict[str, str], a: str, b: str, costs: Mapping[tuple[str, str], float]
) -> None:
    if placed[a] == placed[b]:
        return

    def cost() -> float:
        pair = costs.get((a, b), costs.get((b, a), 0.0))  # counted with both of them
        return _cost_of(a, placed[a], placed, costs) + _cost_of(b, placed[b], placed, costs) - pair

    before = cost()
    placed[a], placed[b] = placed[b], placed[a]
    if before - cost() < GAIN_MIN:
        placed[a], placed[b] = placed[b], placed[a]


def _cost_of(
    name: str, agent: str, placed: Mapping[str, str], costs: Mapping[tuple[str, str], float]
) -> float:
    """Return what a task costs with an agent, by those that others have."""
    total = 0.0
    for other, whose in placed.items():
        if whose != agent and other != name:
            total += costs.get((name, other), costs.get((other, name), 0.0))
    return total


def _total(placed: Mapping[str, str], costs: Mapping[tuple[str, str], float]) -> float:
    return sum(cost for (a, b), cost in costs.items() if placed[a] != placed[b])


def _chance_apart(tasks: int, agents: int) -> float:
    """Return how likely two tasks are with two agents, if each has its share at random."""
    if tasks < 2:
        return 0.0
    small, more = divmod(tasks, agents)
    together = more * (small + 1) * small + (agents - more) * small * (small - 1)
    return 1 - together / (tasks * (tasks - 1))


def _reasons(
    placed: Mapping[str, str],
    shared: Mapping[tuple[str, str], list[str]],
    tasks: Mapping[str, Sequence[str]],
    risks: Mapping[str, float],
) -> tuple[str, ...]:
    said = []
    for (a, b), found in shared.items():
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        if placed[a] == placed[b]:
            said.append(f"{placed[a]} gets {a} and {b}: both touch {found[0]}{more}")
        else:
            said.append(
                f"{placed[a]} ({a}) and {placed[b]} ({b}) will meet at {found[0]}{more}: "
                "let one wait, or reserve it"
            )
    hot = {path for paths in tasks.values() for path in paths if risks.get(path, 0.0) >= 0.5}
    hottest = sorted(hot, key=lambda path: (-risks[path], path))
    said += [f"others are likely to touch {path} ({risks[path]:.0%})" for path in hottest]
    return tuple(said[:REASONS_MAX])
