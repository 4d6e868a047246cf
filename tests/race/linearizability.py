"""A checker for linearizability, after Wing and Gong (1993) with Lowe's memory of dead ends (2017).

A history is a list of operations with the times of call and return by one monotonic clock. It is
linearizable if each operation can be given a moment between its call and its return so that one
after the other, in the order of these moments, they give the results that were seen.
"""

import math
from collections import namedtuple

# Of an operation that never returned, because its process was killed, `returned` is infinity and
# `result` None: it may have happened at any time after its call, or not at all.
Operation = namedtuple("Operation", "called returned name arguments result")


def first_failure(histories, model):
    """Return the first key whose history is not linearizable, None if all are.

    `histories` maps a key to its operations, `model` is a module or class with `START` and
    `step(state, operation)`, which returns the states that may follow if the operation comes
    next: none if its result does not fit. Keys are independent of each other.
    """
    for key, operations in histories.items():
        if not is_linearizable(operations, model):
            return key
    return None


def is_linearizable(operations, model):
    """Search for an order; depth first, remembering (what is done, state) that led nowhere."""
    operations = sorted(operations, key=lambda operation: operation[:2])
    returned = sum(1 << n for n, each in enumerate(operations) if each.returned < math.inf)
    dead = set()
    stack = [(0, model.START, _moves(operations, model, 0, model.START))]
    while stack:
        done, _, moves = stack[-1]
        if done & returned == returned:
            return True
        for move in moves:
            if move not in dead:
                dead.add(move)
                stack.append((*move, _moves(operations, model, *move)))
                break
        else:
            stack.pop()
    return False


def _moves(operations, model, done, state):
    """Yield (what is done, state) after each operation that may come next."""
    for index in _candidates(operations, done):
        operation = operations[index]
        for following in model.step(state, operation):
            # What changes nothing and was never answered may as well not have happened.
            if following != state or operation.returned < math.inf:
                yield done | 1 << index, following


def _candidates(operations, done):
    """Yield what may come next: undone operations that were called before any undone returned."""
    first_return = math.inf
    for index in range(_lowest_zero(done), len(operations)):
        if not done >> index & 1:
            operation = operations[index]
            if operation.called > first_return:
                return
            yield index
            first_return = min(first_return, operation.returned)


def _lowest_zero(bits):
    return (~bits & (bits + 1)).bit_length() - 1


class StoreModel:
    """One key, its record and the lease of the same name.

    A lease lapses by a clock and not by an operation: it is held for sure until `holds_until`, its
    time to live after the call that took it, and not after `lapsed_at`, as long after the return.
    In between both are possible.
    """

    class State(namedtuple("State", "version lives value token holder holds_until lapsed_at")):
        """`version` and `token` are the last ones given, `holder` is the token held, 0 for none."""

        __slots__ = ()

    START = State(0, False, None, 0, 0, 0, 0)
    UNKNOWN = -1  # the token of a process that was killed while it asked: nobody else knows it
    RESOLUTION_NS = 2_000_000  # the store counts in milliseconds

    @classmethod
    def step(cls, state, operation):
        return [
            following
            for result, following in getattr(cls, operation.name)(state, operation)
            if operation.result in (None, result)
        ]

    @staticmethod
    def get(state, operation):
        seen = (state.version, state.value) if state.lives else (0, None)
        return [(seen, state)]

    @staticmethod
    def put(state, operation):
        (value,) = operation.arguments
        version = state.version + 1
        return [(version, state._replace(version=version, lives=True, value=value))]

    @classmethod
    def cas(cls, state, operation):
        expect, value = operation.arguments
        actual = state.version if state.lives else 0
        if expect != actual:
            return [(("conflict", actual), state)]
        return cls.put(state, operation._replace(arguments=(value,)))

    @staticmethod
    def delete(state, operation):
        if not state.lives:
            return [(False, state)]
        return [(True, state._replace(version=state.version + 1, lives=False, value=None))]

    @classmethod
    def lock(cls, state, operation):
        may_lapse = operation.returned > state.holds_until
        if state.holder and operation.called < state.lapsed_at:
            yield "busy", state
        if state.holder == 0 or may_lapse:
            given = operation.result
            if given in (None, "lost"):  # it was given and lapsed before anybody could use it
                yield given, cls._held(state, operation, cls.UNKNOWN)
            elif given != "busy" and given > state.token:
                yield given, cls._held(state._replace(token=given), operation, given)

    @classmethod
    def lapse(cls, state, operation):
        """Part of a `lock` that stood still: a lease was given that nobody saw, or none was."""
        yield None, state
        if state.holder == 0 or operation.returned > state.holds_until:
            yield None, cls._held(state, operation, cls.UNKNOWN)

    @classmethod
    def write(cls, state, operation):
        """A put under the fence of a lease."""
        token, value = operation.arguments
        holds, lost = cls._whether(state, operation, token)
        if holds:
            yield from cls.put(state, operation._replace(arguments=(value,)))
        if lost:
            yield "refused", state

    @classmethod
    def renew(cls, state, operation):
        token = operation.arguments[0]
        holds, lost = cls._whether(state, operation, token)
        if holds:
            yield "renewed", cls._held(state, operation, token)
        if lost:
            yield "refused", state

    @classmethod
    def unlock(cls, state, operation):
        (token,) = operation.arguments
        holds, lost = cls._whether(state, operation, token)
        if holds:
            yield "released", state._replace(holder=0)
        if lost:
            yield "refused", state

    @staticmethod
    def _whether(state, operation, token):
        """Return whether the lease with `token` may still be held, and whether it may not."""
        mine = state.holder == token
        return (
            mine and operation.called < state.lapsed_at,
            not mine or operation.returned > state.holds_until,
        )

    @classmethod
    def _held(cls, state, operation, token):
        ttl_ns = operation.arguments[-1]
        return state._replace(
            holder=token,
            holds_until=operation.called + ttl_ns - cls.RESOLUTION_NS,
            lapsed_at=operation.returned + ttl_ns + cls.RESOLUTION_NS,
        )
