"""Rules: when a fact is an alert, and since when it is none any more. They are data."""

from __future__ import annotations

import json
import os
from string import Formatter

from swarm_memory.errors import ConfigError
from swarm_memory.lean import NamedTuple, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarm_memory.config import Config
    from swarm_memory.model import Json

SEVERITIES = ("warning", "critical")
SAMPLES_MAX = 1440
_FILE = os.path.join(os.path.dirname(__file__), "rules.json")


class Rule(NamedTuple):
    """A rule of alerts.

    It holds for a subject whose `fact` has reached `above` (or lies under `below`), in so many
    `samples` in a row; an alert that is raised stays until the fact has come back beyond `until`,
    so one that moves about the threshold raises one alert and not many. It is silent while there
    is an alert of the rule `unless` for the same subject. What `stays` is over when a person says
    so. `text` and `advice` may name {subject} and {value}.

    In a configuration a threshold may be the name of a setting, and `slack` may stand for `until`:
    how far beyond the threshold that is.
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


def rules_of(config: Config) -> list[Rule]:
    """Return the shipped rules as `config.alerts` has them: {rule: {field: value}}, new ones too.

    Raises:
        ConfigError: A field is unknown, missing or out of range.
    """
    fields = {name: dict(known) for name, known in shipped().items()}
    for name, changed in config.alerts.items():
        if not isinstance(changed, dict):
            raise ConfigError(f"alert {name} is {changed!r}", hint='like {"above": 0.9}')
        fields[name] = _changed(fields.get(name, {}), changed)
    rules = [_rule(name, said, config.settings) for name, said in fields.items()]
    names = {rule.name for rule in rules}
    for rule in rules:
        if rule.unless is not None and rule.unless not in names:
            raise ConfigError(
                f"alert {rule.name}: there is no rule {rule.unless}", hint="name another in unless"
            )
    return [rule for rule in rules if rule.enabled]


def _changed(before: Mapping[str, Json], changed: Mapping[str, Json]) -> dict[str, Json]:
    """Return a rule's fields with changes: of two ways to say one thing the new one holds."""
    twins = {"above": "below", "below": "above", "until": "slack", "slack": "until"}
    replaced = {twins[field] for field in changed if field in twins}
    return {field: v for field, v in before.items() if field not in replaced} | dict(changed)


def _rule(name: str, said: Mapping[str, Json], settings: Mapping[str, Json]) -> Rule:
    unknown = sorted(set(said) - {*Rule._fields[1:], "slack"})
    missing = [field for field in ("fact", "severity", "text", "advice") if field not in said]
    if unknown or missing:
        wrong = f"{unknown[0]!r} is unknown" if unknown else f"{missing[0]} is missing"
        raise ConfigError(f"alert {name}: {wrong}", hint="see docs/monitoring.md")
    rule = Rule(name=name, **_resolved(name, said, settings))
    texts = (rule.fact, rule.severity, rule.text, rule.advice, rule.unless or "")
    high, low = (rule.above, rule.until) if rule.above is not None else (rule.until, rule.below)
    for fits, expected in (
        (all(isinstance(text, str) for text in texts), "texts in fact, severity, text and advice"),
        (rule.severity in SEVERITIES, f"severity {' or '.join(SEVERITIES)}"),
        ((rule.above is None) != (rule.below is None), "either above or below"),
        (low is not None and high is not None and low <= high, "an until on the healthy side"),
        (_is_whole(rule.samples) and 1 <= rule.samples <= SAMPLES_MAX, "samples from 1"),
        (isinstance(rule.enabled, bool), "enabled true or false"),
        (isinstance(rule.stays, bool), "stays true or false"),
        (_is_template(rule.text) and _is_template(rule.advice), "no names but {subject}, {value}"),
    ):
        if not fits:
            raise ConfigError(f"alert {name} is not valid", hint=f"give {expected}")
    return rule


def _resolved(name: str, said: Mapping[str, Json], settings: Mapping[str, Json]) -> dict[str, Json]:
    """Return a rule's fields with numbers for its thresholds."""
    fields = dict(said)
    slack = fields.pop("slack", None)
    for field in ("above", "below"):
        if isinstance(fields.get(field), str):
            fields[field] = settings.get(fields[field], fields[field])
    if slack is not None and "until" not in fields:
        threshold = fields.get("above", fields.get("below"))
        if _is_number(slack) and _is_number(threshold):
            fields["until"] = threshold + (slack if "above" not in fields else -slack)
    numbers = [fields[f] for f in ("above", "below", "until") if fields.get(f) is not None]
    if fields.get("until") is None or not all(map(_is_number, numbers)):
        raise ConfigError(
            f"alert {name} is not valid", hint="give numbers in above or below, and until or slack"
        )
    return fields


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _is_whole(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_template(text: Json) -> bool:
    try:
        str(text).format(subject="a", value=1.0)
        return {part[1] for part in Formatter().parse(str(text))} <= {None, "subject", "value"}
    except (ValueError, LookupError, AttributeError):
        return False
