"""A checker for linearizability, after Wing and Gong (1993) with Lowe's memory of dead ends (2017).

A history is a list of operations with the times of call and return by one monotonic clock. It is
linearizable if each operation can be given a moment between its call and its return so that one
after the other, in the order of these moments, they give the results that were seen.
"""

from collections import namedtuple

# `result` None of an operation that never returned: it may have happened or not.
Operation = namedtuple("Operation", "called returned name arguments result")


def first_failure(histories, model):
    """Return the first key whose history is not linearizable, None if all are.

    `histories` maps a key to its operations, `model` is a module or class with `START` and
    `step(state, name, arguments) -> (state, result)`; keys are independent of each other.
    """
    for key, operations in histories.items():
        if not is_linearizable(operations, model):
            return key
    return None


def is_linearizable(operations, model):
    """Search for an order; depth first, remembering (what is done, state) that led nowhere."""
    operations = sorted(operations)
    count = len(operations)
    everything = (1 << count) - 1
    dead = set()
    stack = [(0, model.START, _candidates(operations, 0))]
    while stack:
        done, state, candidates = stack[-1]
        if done == everything:
            return True
        moved = False
        for index in candidates:
            operation = operations[index]
            next_state, result = model.step(state, operation.name, operation.arguments)
            if operation.result is not None and result != operation.result:
                continue
            next_done = done | 1 << index
            if (next_done, next_state) in dead:
                continue
            dead.add((next_done, next_state))
            stack.append((next_done, next_state, _candidates(operations, next_done)))
            moved = True
            break
        if not moved:
            stack.pop()
    return False


def _candidates(operations, done):
    """Yield what may come next: undone operations that were called before any undone returned."""
    first_return = None
    index = _lowest_zero(done)
    while index < len(operations):
        if not done >> index & 1:
            operation = operations[index]
            if first_return is not None and operation.called > first_return:
                return
            yield index
            if first_return is None or operation.returned < first_return:
                first_return = operation.returned
        index += 1


def _lowest_zero(bits):
    return (~bits & (bits + 1)).bit_length() - 1


class RecordModel:
    """One key: (versions given so far, whether it lives, value)."""

    START = (0, False, None)

    @staticmethod
    def step(state, name, arguments):
        counter, lives, value = state
        version = counter if lives else 0
        if name == "get":
            return state, (version, value if lives else None)
        if name == "put":
            return (counter + 1, True, arguments[0]), counter + 1
        if name == "cas":
            expect, new = arguments
            if expect != version:
                return state, ("conflict", version)
            return (counter + 1, True, new), counter + 1
        if name == "delete":
            return ((counter + 1, False, None), True) if lives else (state, False)
        raise ValueError(name)


class FencedModel:
    """One resource under a lease: (highest token that wrote, value); tokens must not go back."""

    START = (0, None)

    @staticmethod
    def step(state, name, arguments):
        highest, value = state
        if name == "get":
            return state, value
        token, new = arguments
        if token < highest:
            return state, "refused"
        return (token, new), "written"
