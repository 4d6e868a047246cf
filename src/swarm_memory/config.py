"""Settings and categories: data, checked once, never changed afterwards.

`memory_schema.json` holds the defaults. A file of the same form overrides single settings and
categories, and a variable `SWARM_MEMORY_NAME` overrides the setting `name`.
"""

from __future__ import annotations

import os

from swarm_memory import lean_json
from swarm_memory.errors import ConfigError, InvalidArgumentError
from swarm_memory.lean import NamedTuple, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swarm_memory.model import Json

ENVIRONMENT_PREFIX = "SWARM_MEMORY_"
# Variables that choose a store or an identity; the doors read them, they are no settings.
ENVIRONMENT_NAMES = frozenset(
    {"URL", "SWARM", "AGENT", "SESSION", "TOKEN", "INJECT", "CONFIG", "LEASE_TOKEN", "FAILPOINT"}
)
CONFLICT_STRATEGIES = ("reject", "first_write", "last_write", "merge", "keep_both")
BACKUP_FREQUENCIES = ("none", "hourly", "daily", "weekly")
_SCHEMA_FILE = os.path.join(os.path.dirname(__file__), "memory_schema.json")

# The range of every setting; the unit is the end of its name.
_RANGES: dict[str, tuple[float, float]] = {
    "value_bytes_max": (64, 2**30),
    "value_depth_max": (1, 200),
    "batch_rows_max": (1, 1_000_000),
    "agent_bytes_max": (1024, 2**50),
    "session_bytes_max": (1024, 2**50),
    "total_bytes_max": (1024, 2**50),
    "warn_ratio": (0.01, 1),
    "clean_ratio": (0.01, 1),
    "sync_interval_s": (0.01, 3600),
    "lock_timeout_s": (0, 86_400),
    "monitor_interval_s": (1, 86_400),
    "cleanup_interval_s": (1, 31_536_000),
    "busy_timeout_s": (0.01, 3600),
    "op_id_retention_s": (60, 31_536_000),
    "event_retention_s": (60, 315_360_000),
    "tombstone_retention_s": (60, 315_360_000),
    "sweep_rows_max": (1, 1_000_000),
    "dictionary_values_min": (100, 1_000_000),
    "cache_bytes_max": (0, 2**40),
    "backup_retention_s": (3600, 315_360_000),
    "backups_kept_min": (1, 10_000),
    "record_bytes_max": (0, 2**24),
    "edit_idle_s": (1, 86_400),
    "label_ratio": (0, 1),
    "explore_ratio": (0, 1),
}
_WHOLE = ("_max", "_min")
# The settings that are no numbers: a word of a few, a list of globs, a text.
_WORDS = {
    "record": ("off", "metadata", "full"),
    "warn_edits": ("off", "context", "deny"),
    "alert_private": ("refuse", "allow"),
    "tuning": ("off", "on"),
}
_GLOBS = ("record_denied", "alert_hosts")
# Texts, "" for none, and how long one may be.
_TEXTS = {"alert_agent": 100, "alert_webhook": 2000}
_SETTINGS = (*_RANGES, *_WORDS, *_GLOBS, *_TEXTS)
VERSIONS_MAX_DEFAULT = 10
RETENTION_S_MAX = 3_153_600_000  # a hundred years


class Category(NamedTuple):
    """What holds for the keys that match one of `keys`.

    `retention_s` seconds until a record expires after its last write, None keeps it; the last
    `versions_max` versions are kept; `telemetry` marks what happened as against what is known.
    """

    name: str
    keys: tuple[str, ...]
    retention_s: float | None
    versions_max: int
    telemetry: bool
    on_conflict: str
    backup_frequency: str


class Config:
    """The settings (as attributes) and the categories that hold for one open store."""

    value_bytes_max: int
    value_depth_max: int
    batch_rows_max: int
    agent_bytes_max: int
    session_bytes_max: int
    total_bytes_max: int
    warn_ratio: float
    clean_ratio: float
    sync_interval_s: float
    lock_timeout_s: float
    monitor_interval_s: float
    cleanup_interval_s: float
    busy_timeout_s: float
    op_id_retention_s: float
    event_retention_s: float
    tombstone_retention_s: float
    sweep_rows_max: int
    dictionary_values_min: int
    cache_bytes_max: int
    backup_retention_s: float
    backups_kept_min: int
    record: str
    record_denied: tuple[str, ...]
    record_bytes_max: int
    warn_edits: str
    edit_idle_s: float
    label_ratio: float
    explore_ratio: float
    tuning: str
    alert_agent: str
    alert_webhook: str
    alert_hosts: tuple[str, ...]
    alert_private: str

    def __init__(
        self,
        settings: Mapping[str, Json],
        categories: Iterable[Category],
        alerts: Mapping[str, Json] | None = None,
        given: Iterable[str] = (),
    ) -> None:
        for name, value in settings.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "settings", dict(settings))
        object.__setattr__(self, "categories", tuple(categories))
        object.__setattr__(self, "alerts", dict(alerts or {}))
        object.__setattr__(self, "given", frozenset(given))
        rules = [(c, tuple(p.split("/") for p in c.keys)) for c in self.categories]
        object.__setattr__(self, "category_of", lru_cache(maxsize=8192)(_matcher(rules)))

    settings: dict[str, Json]
    categories: tuple[Category, ...]
    alerts: dict[str, Json]  # how rules differ from those that are shipped; see monitor.rules
    given: frozenset[str]  # the settings that somebody has set: no tuner touches these

    def category_of(self, key: str) -> Category:  # replaced by a cached one in __init__
        """Return the first category one of whose patterns matches `key`."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Config does not change; load another one")

    def to_dict(self) -> dict[str, Json]:
        """Return settings and categories in the form of `memory_schema.json`."""
        categories = {c.name: c._asdict() for c in self.categories}
        for category in categories.values():
            del category["name"]
            category["keys"] = list(category["keys"])
        settings = {n: list(v) if n in _GLOBS else v for n, v in self.settings.items()}
        return {"settings": settings, "categories": categories, "alerts": self.alerts}


def load_config(path: str | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration from the shipped schema, then `path`, then `environment`.

    Raises:
        ConfigError: A name is unknown (with the nearest spelling) or a value out of range.
    """
    document = _read(_SCHEMA_FILE)
    given = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower()
        for name in environment or ()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    if path is not None:
        changes = _read(path)
        _override(document, changes, path)
        given.update(changes.get("settings", ()))
    for name, text in (environment or {}).items():
        _override_from_variable(document, name, text)
    return config_of(document, given & {*_SETTINGS})


def config_of(document: dict[str, Json], given: Iterable[str] = ()) -> Config:
    """Return the configuration that a complete document says, as `Config.to_dict` returns it.

    Args:
        given: The settings in it that somebody has chosen, which no tuner touches.

    Raises:
        ConfigError: A value is out of range.
    """
    categories = [_category(name, fields) for name, fields in document["categories"].items()]
    settings = {name: _setting(name, value) for name, value in document["settings"].items()}
    return Config(settings, categories, document.get("alerts"), given)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each `SWARM_MEMORY_*` variable that means nothing."""
    sentences = []
    for name in sorted(environment):
        known = name.removeprefix(ENVIRONMENT_PREFIX)
        if not name.startswith(ENVIRONMENT_PREFIX) or known in ENVIRONMENT_NAMES:
            continue
        if known.lower() not in _SETTINGS:
            near = _nearest(known.lower(), [n.lower() for n in ENVIRONMENT_NAMES] + [*_SETTINGS])
            sentences.append(f"{name} means nothing{_did_you_mean(near, ENVIRONMENT_PREFIX)}")
    return sentences


def _read(path: str) -> Json:
    try:
        with open(path, encoding="utf-8") as file:
            document = lean_json.loads(file.read())
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}",
            hint="check the path, who may read it, and how many files may be open",
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}", hint="correct the file") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} holds no JSON object", hint='it looks like {"settings": {…}}')
    return document


def _override(document: Json, changes: Json, path: str) -> None:
    for section, content in changes.items():
        if section not in document:
            _refuse_name(section, document, path)
        if not isinstance(content, dict):
            raise ConfigError(f"{path}: {section} must be an object", hint="see docs/reference.md")
    for name, value in changes.get("settings", {}).items():
        if name not in document["settings"]:
            _refuse_name(name, document["settings"], path)
        document["settings"][name] = value
    added = {}
    for name, fields in changes.get("categories", {}).items():
        if not isinstance(fields, dict):
            raise ConfigError(f"{path}: category {name} must be an object", hint="give its fields")
        added[name] = {**document["categories"].get(name, {}), **fields}
    document["alerts"] = {**document["alerts"], **changes.get("alerts", {})}
    # What the user names is looked at first: it is more specific than what we ship.
    kept = {n: f for n, f in document["categories"].items() if n not in added}
    changed = {n: f for n, f in added.items() if n in document["categories"]}
    new = {n: f for n, f in added.items() if n not in document["categories"]}
    order = [*new, *document["categories"]]
    document["categories"] = {n: (new | kept | changed)[n] for n in order}


def _override_from_variable(document: Json, variable: str, text: str) -> None:
    if not variable.startswith(ENVIRONMENT_PREFIX):
        return
    name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
    if name in _RANGES:
        try:
            document["settings"][name] = lean_json.loads(text)
        except ValueError:
            raise ConfigError(f"{variable}={text!r} is no number", hint="give a number") from None
    elif name in _WORDS or name in _TEXTS:
        document["settings"][name] = text
    elif name in _GLOBS:
        # Added to the file's: what a project has closed is opened only by a `!` that says so.
        before = document["settings"][name]
        if isinstance(before, list):  # if not, it is refused with the file's other mistakes
            document["settings"][name] = before + text.replace(",", " ").split()


def _setting(name: str, value: Json) -> Json:
    if name in _WORDS:
        return _word(name, value)
    if name in _GLOBS:
        return _globs(name, value)
    if name in _TEXTS:
        return _text(name, value)
    low, high = _RANGES[name]
    whole = name.endswith(_WHOLE)
    fits = isinstance(value, int) if whole else isinstance(value, (int, float))
    if isinstance(value, bool) or not fits or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"{name} is {value!r}", hint=f"give {kind} from {low} to {high}")
    return float(value) if not whole else int(value)


def _word(name: str, value: Json) -> str:
    if value not in _WORDS[name]:
        raise ConfigError(f"{name} is {value!r}", hint=f"give one of {', '.join(_WORDS[name])}")
    return str(value)


def _text(name: str, value: Json) -> str:
    longest = _TEXTS[name]
    if not isinstance(value, str) or len(value.encode()) > longest or not value.isprintable():
        raise ConfigError(f"{name} is no text", hint=f"give up to {longest} bytes, or nothing")
    return value


def _globs(name: str, value: Json) -> tuple[str, ...]:
    from swarm_memory.patterns import normal

    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
        raise ConfigError(f"{name} is {value!r}", hint='give a list of globs such as ["*.key"]')
    for pattern in value:
        try:
            normal(pattern.removeprefix("!").lstrip("/"))
        except InvalidArgumentError as error:
            raise ConfigError(f"{name}: {error}", hint=error.hint) from error
    return tuple(value)


def _category(name: str, fields: Json) -> Category:
    unknown = [field for field in fields if field not in Category._fields or field == "name"]
    if unknown:
        _refuse_name(unknown[0], Category._fields[1:], f"category {name}")
    category = Category(
        name=name,
        keys=tuple(fields.get("keys", ())),
        retention_s=fields.get("retention_s"),
        versions_max=fields.get("versions_max", VERSIONS_MAX_DEFAULT),
        telemetry=fields.get("telemetry", False),
        on_conflict=fields.get("on_conflict", "reject"),
        backup_frequency=fields.get("backup_frequency", "daily"),
    )
    for fits, field, expected in (
        (_are_patterns(category.keys), "keys", "one or more patterns such as swarm-*/global/**"),
        (_is_retention(category.retention_s), "retention_s", "null or seconds above 0"),
        (_is_count(category.versions_max), "versions_max", "a whole number from 1 to 1000"),
        (isinstance(category.telemetry, bool), "telemetry", "true or false"),
        (category.on_conflict in CONFLICT_STRATEGIES, "on_conflict", str(CONFLICT_STRATEGIES)),
        (
            category.backup_frequency in BACKUP_FREQUENCIES,
            "backup_frequency",
            str(BACKUP_FREQUENCIES),
        ),
    ):
        if not fits:
            shown = getattr(category, field)
            raise ConfigError(f"category {name}: {field} is {shown!r}", hint=f"give {expected}")
    return category


def _are_patterns(patterns: tuple[Json, ...]) -> bool:
    return bool(patterns) and all(isinstance(p, str) and p for p in patterns)


def _is_retention(value: Json) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (number and 0 < value <= RETENTION_S_MAX)


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000


def _matcher(rules: list[tuple[Category, tuple[list[str], ...]]]):  # type: ignore[no-untyped-def]
    other = Category("other", ("**",), None, VERSIONS_MAX_DEFAULT, False, "reject", "daily")
    # What a first segment has to begin with; most patterns are refused by that alone.
    heads = [(p[0].rstrip("*"), p, category) for category, patterns in rules for p in patterns]

    def category_of(key: str) -> Category:
        segments = key.split("/")
        for head, pattern, category in heads:
            if key.startswith(head) and _matches(pattern, segments):
                return category
        return other

    return category_of


def _matches(pattern: list[str], segments: list[str]) -> bool:
    """Match segment by segment: `*` ends a segment's free part, a last `**` takes any rest."""
    if pattern[-1] == "**":
        pattern = pattern[:-1]
        segments = segments[: len(pattern)]
    if len(pattern) != len(segments):
        return False
    for wanted, segment in zip(pattern, segments, strict=True):
        if not (segment == wanted or (wanted[-1] == "*" and segment.startswith(wanted[:-1]))):
            return False
    return True


def _refuse_name(name: str, known: Iterable[str], where: str) -> None:
    near = _nearest(name, list(known))
    raise ConfigError(
        f"{where}: {name!r} is unknown{_did_you_mean(near)}", hint="see docs/reference.md"
    )


def _nearest(name: str, known: list[str]) -> str | None:
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return near[0] if near else None


def _did_you_mean(near: str | None, prefix: str = "") -> str:
    shown = prefix + near.upper() if prefix and near else near
    return f"; did you mean {shown}?" if near else ""
