"""A state machine drives sessions, and compares every answer and every row with a plain model.

The model is a dict of lives. Nobody comes by unless a rule does, so sessions are also acted on
after their time is over and before anybody has ended them.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.lives import NOT_RENEWED, RESTARTED, Held
from swarm_memory.testing import Store

NAMES = st.sampled_from(["s", "t", "u"])
KINDS = st.sampled_from(["logical", "logical", "process"])
TTLS = st.sampled_from([None, 0.1, 10, 60])
DEFAULT_TTL_MS = {"logical": 3_600_000, "process": 30_000}
AGENT_IDS = st.sampled_from(["a1", "a2", "a3"])
LEASE_S = 3600


class Life:
    """One session as the model knows it: `expires` counts in the start `boot` of the machine."""

    def __init__(self, kind, now):
        self.kind, self.began, self.state = kind, now, "active"
        self.about, self.ended, self.reason = {}, None, None


class Model:
    def __init__(self, clock):
        self.clock = clock
        self.lives = {}
        self.agents = {}  # (session, agent): [type, started, ended]
        self.leases = {}  # name: (session, the uptime at which it lapses)

    def left(self, life):
        if life.boot == self.clock.boot_id():
            return life.expires - self.clock.uptime_ms()
        if life.kind == "process":
            return 0
        return min(life.ttl, life.touched + life.ttl - self.clock.now_ms())

    def is_active(self, name):
        life = self.lives.get(name)
        return life is not None and life.state == "active" and self.left(life) > 0

    def renew(self, life):
        life.touched, life.boot = self.clock.now_ms(), self.clock.boot_id()
        life.expires = self.clock.uptime_ms() + life.ttl

    def free(self, name):
        self.leases = {n: held for n, held in self.leases.items() if held[0] != name}

    def end(self, name, state, reason):
        life = self.lives[name]
        life.state, life.reason, life.ended = state, reason, self.clock.now_ms()
        for (session, _), agent in self.agents.items():
            if session == name and agent[2] is None:
                agent[2] = self.clock.now_ms()
        self.free(name)

    def reap(self):
        """End what is over, and count the others on in this start of the machine."""
        ended = 0
        for name, life in self.lives.items():
            if life.state != "active":
                continue
            left = self.left(life)
            if left <= 0:
                restarted = life.kind == "process" and life.boot != self.clock.boot_id()
                self.end(name, "lapsed", RESTARTED if restarted else NOT_RENEWED)
                ended += 1
            elif life.boot != self.clock.boot_id():
                life.boot, life.expires = self.clock.boot_id(), self.clock.uptime_ms() + left
        return ended

    def begin(self, name, kind, ttl_s, about):
        self.reap()
        life = self.lives.get(name)
        if life is None or life.state != "active":
            if life is not None:
                self.free(name)
            self.lives[name] = life = Life(kind, self.clock.now_ms())
            life.ttl = DEFAULT_TTL_MS[kind]
        elif life.kind != kind:
            return False
        life.about = life.about | about
        life.ttl = life.ttl if ttl_s is None else round(1000 * ttl_s)
        self.renew(life)
        return True

    def held(self, name):
        uptime = self.clock.uptime_ms()
        leases = sum(s == name and expires > uptime for s, expires in self.leases.values())
        agents = sum(s == name and a[2] is None for (s, _), a in self.agents.items())
        return Held(leases, 0, agents)


class SessionMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.store = Store("sqlite:///:memory:")
        self.swarm = self.store.open()
        self.sessions = self.swarm.sessions
        self.clock = self.store.clock
        self.model = Model(self.clock)
        self.taken = 0

    def teardown(self):
        self.store.close()

    def check(self, session, held=False):
        """Compare what a call returned with the model's life."""
        life = self.model.lives[session.session_id]
        active = self.model.is_active(session.session_id)
        expected = "lapsed" if life.state == "active" and not active else life.state
        assert (life.kind, expected, life.about) == (session.kind, session.state, session.about)
        assert (life.began, life.touched) == (session.began_ms, session.touched_ms)
        assert (life.ended, life.reason) == (session.ended_ms, session.reason)
        assert life.ttl / 1000 == session.ttl_s
        if life.state == "active":
            assert self.clock.now_ms() + self.model.left(life) == session.expires_ms
        assert session.held == (self.model.held(session.session_id) if held else None)

    # --- life ---

    @rule(name=NAMES, kind=KINDS, ttl_s=TTLS, about=st.dictionaries(
        st.sampled_from(["cwd", "branch"]), st.integers(0, 2)))  # fmt: skip
    def begin(self, name, kind, ttl_s, about):
        if self.model.begin(name, kind, ttl_s, about):
            self.check(self.sessions.begin(name, kind=kind, ttl_s=ttl_s, about=about))
        else:
            with pytest.raises(InvalidArgumentError):
                self.sessions.begin(name, kind=kind, ttl_s=ttl_s, about=about)
            self.sessions.reap()  # what was refused has changed nothing, nor ended others

    @rule(name=NAMES, share=st.sampled_from([0.0, 1 / 3, 0.9]))
    def touch(self, name, share):
        touched = self.sessions.touch(name, share=share)
        assert (touched is not None) == self.model.is_active(name)
        if touched is not None:
            life = self.model.lives[name]
            gone = life.ttl - self.model.left(life)
            if gone >= share * life.ttl or life.boot != self.clock.boot_id():
                self.model.renew(life)
            self.check(touched)

    @rule(name=NAMES, reason=st.sampled_from([None, "done"]))
    def end(self, name, reason):
        active = self.model.is_active(name)
        assert active == self.sessions.end(name, reason=reason)
        life = self.model.lives.get(name)
        if active:
            self.model.end(name, "ended", reason)
        elif life is not None and life.state == "active":
            restarted = life.kind == "process" and life.boot != self.clock.boot_id()
            self.model.end(name, "lapsed", RESTARTED if restarted else NOT_RENEWED)
        else:
            self.model.free(name)

    # --- coming by ---

    @rule()
    def reap(self):
        assert self.model.reap() == self.sessions.reap()

    @rule(state=st.sampled_from([None, "active", "lapsed", "ended"]))
    def list_all(self, state):
        self.model.reap()
        found = self.sessions.list(state)
        lives = self.model.lives.items()
        assert {n for n, life in lives if state in {None, life.state}} == {
            session.session_id for session in found
        }
        order = [(s.state != "active", -s.touched_ms, s.session_id) for s in found]
        assert sorted(order) == order
        for session in found:
            self.check(session, held=True)

    @rule(name=NAMES)
    def get(self, name):
        self.model.reap()
        if name in self.model.lives:
            self.check(self.sessions.get(name), held=True)
        else:
            with pytest.raises(NotFoundError):
                self.sessions.get(name)

    # --- what happens within ---

    @rule(name=NAMES)
    def hold(self, name):
        self.taken += 1
        lease = f"lease {self.taken}"
        self.swarm.as_agent("w", session=name).leases.acquire(lease, ttl_s=LEASE_S)
        self.model.leases[lease] = (name, self.clock.uptime_ms() + 1000 * LEASE_S)

    @rule(name=NAMES, agent_id=AGENT_IDS, kind=st.sampled_from(["explore", "plan"]))
    def agent_started(self, name, agent_id, kind):
        if not self.model.is_active(name):
            with pytest.raises(NotFoundError):
                self.sessions.agent_started(name, agent_id, kind)
            return
        agent = self.model.agents.setdefault((name, agent_id), [kind, self.clock.now_ms(), None])
        agent[2] = None
        started = self.sessions.agent_started(name, agent_id, kind)
        assert [agent_id, *agent] == [started.agent_id, started.agent_type, *started[4:]]

    @rule(name=NAMES, agent_id=AGENT_IDS)
    def agent_stopped(self, name, agent_id):
        agent = self.model.agents.get((name, agent_id))
        runs = agent is not None and agent[2] is None and self.model.is_active(name)
        assert runs == self.sessions.agent_stopped(name, agent_id)
        if runs:
            agent[2] = self.clock.now_ms()

    # --- the world ---

    @rule(seconds=st.sampled_from([0.05, 0.1, 3, 10, 20, 60, 3600]))
    def pass_time(self, seconds):
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-86_400, -30, 5, 30, 86_400]))
    def set_the_wall_clock(self, seconds):
        self.clock.jump(seconds)

    @rule()
    def reboot(self):
        self.clock.reboot()
        self.swarm.leases.begin_boot(self.clock.boot_id())  # as every new process does
        self.model.leases.clear()

    @rule()
    def forget(self):
        age_ms = round(1000 * self.swarm.config.event_retention_s)
        at_ms = self.clock.now_ms() - age_ms
        old = {n for n, life in self.model.lives.items() if life.ended and life.ended <= at_ms}
        assert len(old) == self.sessions.prune()
        self.model.lives = {n: life for n, life in self.model.lives.items() if n not in old}
        self.model.agents = {k: a for k, a in self.model.agents.items() if k[0] not in old}

    # --- what always holds ---

    @invariant()
    def the_rows_are_what_the_model_says(self):
        if not hasattr(self, "model"):
            return
        rows = self.swarm._engine.all("session_list", swarm="s", state="", limit=99)
        assert {n: life.state for n, life in self.model.lives.items()} == {r[0]: r[3] for r in rows}
        for name in self.model.lives:
            found = {agent.agent_id: list(agent[2:]) for agent in self.sessions.agents(name)}
            known = self.model.agents.items()
            assert {i: [a[0], None, *a[1:]] for (s, i), a in known if s == name} == found

    @invariant()
    def only_what_is_held_is_held(self):
        if not hasattr(self, "model"):
            return
        uptime = self.clock.uptime_ms()
        leases = {n: held[0] for n, held in self.model.leases.items() if held[1] > uptime}
        assert leases == {seat.name: seat.session for seat in self.swarm.leases.list()}


SessionMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSessions = SessionMachine.TestCase
