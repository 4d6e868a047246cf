"""Tuning: parameters of the product itself, chosen as strategies are, by how well they did.

Each parameter is a kind of task and each of its values a strategy, in a swarm of its own, so that
no agent's outcomes are mixed with these. What is tried, with what propensity, and how it went is
in the log of that swarm as everything else is: `swarm-memory --swarm swarm-memory/tuning outcomes`.
"""

from __future__ import annotations

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.tuned import SWARM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

AGENT = "tuning"
VALUES_MAX = 50


class Setting(NamedTuple):
    """A value that was chosen for a parameter; give it back to `measured`.

    `confident` is False while the measurements do not say that it is the best, `trying` is True
    where another looks better; `why` is a sentence.
    """

    parameter: str
    value: float | str
    choice_id: str
    confident: bool
    trying: bool
    why: str


class Tuning:
    """Chooses values of parameters, and learns from what was measured with them."""

    def __init__(self, swarm: Swarm) -> None:
        self._outcomes = swarm.as_agent(AGENT, swarm=SWARM).outcomes

    def choose(
        self,
        parameter: str,
        values: Sequence[float | str],
        *,
        workload: dict[str, Json] | None = None,
        explore: bool = True,
        seed: int | None = None,
    ) -> Setting:
        """Return the value to use next for `parameter`.

        Args:
            values: What it may be; nothing else is ever returned.
            workload: What is known of the load now, by name, such as {"writes_share": 0.7}.
            explore: False takes what has done best.

        Raises:
            InvalidArgumentError: There are no values, more than 50, or two that read the same.
        """
        named = {str(value): value for value in values}
        if not 1 <= len(named) <= VALUES_MAX or len(named) != len(values):
            raise InvalidArgumentError(
                f"{len(values)} values of {parameter}", hint=f"give 1 to {VALUES_MAX}, each once"
            )
        asked = (workload or {}) | {"task_type": parameter}
        found = self._outcomes.recommend(asked, list(named), explore=explore, seed=seed)
        if found.strategy is None or found.choice_id is None:
            raise InvalidArgumentError(f"no value of {parameter}: {found.why}", hint="measure more")
        value = named[found.strategy]
        return Setting(parameter, value, found.choice_id, found.confident, found.trying, found.why)

    def measured(
        self,
        setting: Setting,
        score: float,
        *,
        duration_s: float = 0.0,
        workload: dict[str, Json] | None = None,
    ) -> None:
        """Say how well a setting did: `score` from 0, the worst, to 1, the best that can be.

        Raises:
            InvalidArgumentError: The score is out of its range.
        """
        self._outcomes.record(
            setting.parameter,
            [AGENT],
            score >= 0.5,
            duration_s,
            context=(workload or {}) | {"task_type": setting.parameter},
            decision=setting.choice_id,
            score=score,
            label_source="check",
        )
