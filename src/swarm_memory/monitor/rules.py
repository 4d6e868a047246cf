"""Rules: when a fact is an alert, and since when it is none any more. They are data."""

from __future__ import annotations

import json
import os

from swarm_memory.errors import ConfigError
from swarm_memory.lean import NamedTuple, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarm_memory.model import Json

SEVERITIES = ("warning", "critical")
SAMPLES_MAX = 1440
_FILE = os.path.join(os.path.dirname(__file__), "rules.json")


class Rule(NamedTuple):
    """A rule of alerts.

    It holds for a subject whose `fact` has reached `above` (or lies under `below`), in so many
    `samples` in a row; an alert that is raised stays until the fact has come back beyond `until`,
    so one that moves about the threshold raises one alert and not many. It is silent while the
    rule `unless` holds for the same subject. What `stays`
    is over when a person says so. `text` and `advice` may name {subject} and {value}.
    """

    name: str
    fact: str
    severity: str
    text: str
    advice: str
    until: float
    above: float | None = None
    below: float | None = None
    samples: int = 1
    unless: str | None = None
    stays: bool = False
    enabled: bool = True

    def holds(self, value: float) -> bool:
        """Tell whether the fact is one to raise an alert for."""
        if self.above is not None:
            return value >= self.above
        return self.below is not None and value < self.below

    def is_over(self, value: float) -> bool:
        """Tell whether an alert that was raised is over."""
        if self.stays:
            return False
        return value < self.until if self.above is not None else value >= self.until


@lru_cache(maxsize=1)
def shipped() -> dict[str, dict[str, Json]]:
    """Return the rules that come with the package."""
    with open(_FILE, encoding="utf-8") as file:
        known: dict[str, dict[str, Json]] = json.load(file)
    return known


def rules_of(changes: Mapping[str, Json]) -> list[Rule]:
    """Return the shipped rules as `changes` has them: {rule: {field: value}}, new rules too.

    Raises:
        ConfigError: A field is unknown, missing or out of range.
    """
    fields = {name: dict(known) for name, known in shipped().items()}
    for name, changed in changes.items():
        if not isinstance(changed, dict):
            raise ConfigError(f"alert {name} is {changed!r}", hint='like {"above": 0.9}')
        fields.setdefault(name, {}).update(changed)
    rules = [_rule(name, said) for name, said in fields.items()]
    names = {rule.name for rule in rules}
    for rule in rules:
        if rule.unless is not None and rule.unless not in names:
            raise ConfigError(
                f"alert {rule.name}: there is no rule {rule.unless}", hint="name another in unless"
            )
    return [rule for rule in rules if rule.enabled]


def _rule(name: str, said: Mapping[str, Json]) -> Rule:
    unknown = sorted(set(said) - set(Rule._fields[1:]))
    missing = [f for f in ("fact", "severity", "text", "advice", "until") if f not in said]
    if unknown or missing:
        wrong = f"{unknown[0]!r} is unknown" if unknown else f"{missing[0]} is missing"
        raise ConfigError(f"alert {name}: {wrong}", hint="see docs/monitoring.md")
    rule = Rule(name=name, **said)
    texts = (rule.fact, rule.severity, rule.text, rule.advice)
    numbers = [rule.until, *(x for x in (rule.above, rule.below) if x is not None)]
    for fits, expected in (
        (all(isinstance(text, str) for text in texts), "texts in fact, severity, text and advice"),
        (rule.severity in SEVERITIES, f"severity {' or '.join(SEVERITIES)}"),
        (all(_is_number(number) for number in numbers), "numbers in above, below and until"),
        ((rule.above is None) != (rule.below is None), "either above or below"),
        (isinstance(rule.samples, int) and 1 <= rule.samples <= SAMPLES_MAX, "samples from 1"),
        (isinstance(rule.enabled, bool), "enabled true or false"),
        (isinstance(rule.stays, bool), "stays true or false"),
        (_is_template(rule.text), "a text with no other names than {subject} and {value}"),
    ):
        if not fits:
            raise ConfigError(f"alert {name} is not valid", hint=f"give {expected}")
    return rule


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_template(text: str) -> bool:
    try:
        text.format(subject="a", value=1.0)
    except (ValueError, LookupError, AttributeError):
        return False
    return True
