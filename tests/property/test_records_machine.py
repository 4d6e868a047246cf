"""A hypothesis state machine drives the records and compares every answer with a dict."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from swarm_memory.errors import ConflictError
from swarm_memory.key import in_prefix
from swarm_memory.records import Put
from swarm_memory.testing import Store

KEYS = st.sampled_from(
    [
        "a",
        "a/b",
        "a/b/c",
        "a/b-c",
        "a/bb",
        "A/b",
        "swarm-s/agent-a/state",
        "swarm-s/agent-a/knowledge/1",
        "swarm-s/agent-ab/state",
        "memory/operations/1",
    ]
)
VALUES = st.one_of(st.integers(-5, 5), st.text(max_size=3), st.lists(st.booleans(), max_size=2))
PREFIXES = st.sampled_from(["", "a", "a/", "a*", "a/b", "swarm-s/agent-a", "memory/operations"])
HISTORY = {"settings": {"sweep_rows_max": 2}, "categories": {"other": {"versions_max": 4}}}


class Model:
    """One key: its versions as (version, value or None when deleted, expires)."""

    def __init__(self):
        self.versions = []

    def live(self, now):
        if not self.versions:
            return None
        version, value, expires, deleted = self.versions[-1]
        return None if deleted or (expires is not None and expires <= now) else (version, value)


class RecordsMachine(RuleBasedStateMachine):
    url = "sqlite:///:memory:"
    written = Bundle("written")

    @initialize()
    def start(self):
        self.store = Store(self.url)
        self.swarm = self.store.open(settings=HISTORY)
        self.models = {}
        self.seq = 0
        self.start_ms = self.now

    def teardown(self):
        self.store.close()

    def model(self, key):
        return self.models.setdefault(key, Model())

    @property
    def now(self):
        return self.store.clock.now_ms()

    def apply(self, key, value, expires, deleted=False):
        model = self.model(key)
        version = model.versions[-1][0] + 1 if model.versions else 1
        model.versions.append((version, value, expires, deleted))
        return version

    @rule(target=written, key=KEYS, value=VALUES, ttl_s=st.sampled_from([None, 1, 10]))
    def put(self, key, value, ttl_s):
        record = self.swarm.records.put(key, value, ttl_s=ttl_s)
        version = self.apply(key, value, record.expires_ms)
        assert (version, value) == (record.version, record.value)
        assert record.author == "a"
        if ttl_s is not None:
            assert self.now + ttl_s * 1000 == record.expires_ms
        return key

    @rule(key=KEYS, value=VALUES, expect=st.integers(0, 4))
    def put_expecting(self, key, value, expect):
        live = self.model(key).live(self.now)
        actual = live[0] if live else 0
        if expect == actual:
            record = self.swarm.records.put(key, value, expect=expect)
            assert self.apply(key, value, record.expires_ms) == record.version
        else:
            with pytest.raises(ConflictError) as caught:
                self.swarm.records.put(key, value, expect=expect)
            assert (expect, actual) == (caught.value.expected, caught.value.actual)

    @rule(items=st.lists(st.tuples(KEYS, VALUES), max_size=4), bad=st.booleans())
    def put_many(self, items, bad):
        if bad:
            with pytest.raises(ConflictError):
                self.swarm.records.put_many([*items, Put("a", 1, expect=99)])
            return
        records = self.swarm.records.put_many(items)
        for (key, value), record in zip(items, records, strict=True):
            assert self.apply(key, value, record.expires_ms) == record.version

    @rule(key=KEYS, ttl_s=st.sampled_from([1, 10, 86_400 * 9]))
    def touch(self, key, ttl_s):
        model, record = self.model(key), self.swarm.records.get(key)
        live = model.live(self.now) is not None
        assert live == self.swarm.records.touch(key, ttl_s)
        if live:
            version, value, expires, deleted = model.versions[-1]
            if expires is not None and abs(self.now + ttl_s * 1000 - expires) * 20 >= ttl_s * 1000:
                expires = self.now + ttl_s * 1000
            model.versions[-1] = (version, value, expires, deleted)
            assert record._replace(expires_ms=expires) == self.swarm.records.get(key)

    @rule(key=KEYS)
    def delete(self, key):
        live = self.model(key).live(self.now)
        assert (live is not None) == self.swarm.records.delete(key)
        if live is not None:
            self.apply(key, None, None, deleted=True)

    @rule(key=written)
    def rollback(self, key):
        model = self.model(key)
        history = self.swarm.records.history(key)
        current = model.versions[-1][0]
        older = [r for r in history if r.version < current and not r.deleted]
        if older:
            record = self.swarm.records.rollback(key)
            assert older[0].value == record.value
            assert self.apply(key, older[0].value, record.expires_ms) == record.version

    @rule(seconds=st.sampled_from([0.5, 1, 5, 86_400 * 8]))
    def pass_time(self, seconds):
        # A tombstone is forgotten after 30 days, and then the model's counters would have to be.
        if self.now + seconds * 1000 < self.start_ms + 25 * 86_400_000:
            self.store.clock.advance(seconds)

    @rule()
    def sweep(self):
        self.swarm.retention.sweep()

    @rule(prefix=PREFIXES, limit=st.integers(1, 5))
    def scan(self, prefix, limit):
        telemetry = prefix.startswith("memory/operations")
        live = {k: m.live(self.now) for k, m in self.models.items()}
        expected = sorted(
            key
            for key, value in live.items()
            if value is not None
            and in_prefix(key, prefix)
            and (telemetry or not key.startswith("memory/operations"))
        )
        found, after = [], None
        while True:
            page = self.swarm.records.scan(prefix, limit=limit, after=after)
            found += page
            after = page.next_after
            if after is None:
                break
        assert expected == [r.key for r in found] == self.swarm.records.keys(prefix)
        assert [live[r.key] for r in found] == [(r.version, r.value) for r in found]

    @rule(key=KEYS)
    def history(self, key):
        kept = [
            (version, value, deleted)
            for version, value, expires, deleted in reversed(self.model(key).versions)
            if expires is None or expires > self.now
        ]
        found = [(r.version, r.value, r.deleted) for r in self.swarm.records.history(key)]
        # History is bounded and a sweep turns an expired version into nothing, so what is there
        # must be a run of what the model kept.
        assert [entry for entry in found if not entry[2]] == [
            entry for entry in kept if entry in found and not entry[2]
        ]

    @invariant()
    def every_key_reads_as_the_model_says(self):
        for key, model in getattr(self, "models", {}).items():
            record = self.swarm.records.get(key)
            assert model.live(self.now) == (record and (record.version, record.value))

    @invariant()
    def the_log_only_grows(self):
        if hasattr(self, "swarm"):
            newest = self.swarm.events.newest()
            assert newest >= self.seq
            self.seq = newest


RecordsMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRecords = RecordsMachine.TestCase
