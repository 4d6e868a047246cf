"""Several processes that work at once, from the same moment."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

LIMIT_S = 60.0


def crowd(*jobs: tuple[Callable[..., Callable[[], object]], tuple[object, ...]]) -> list[object]:
    """Run each job in a process of its own, all from the same moment; return their results.

    A job opens what it needs and returns the function that is measured.
    """
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(len(jobs)), context.Queue()
    members = [
        context.Process(target=_member, args=(number, job, arguments, barrier, results))
        for number, (job, arguments) in enumerate(jobs)
    ]
    for member in members:
        member.start()
    found = dict(results.get(timeout=LIMIT_S) for _ in members)
    for member in members:
        member.join(LIMIT_S)
    return [found[number] for number in range(len(jobs))]


def _member(number, job, arguments, barrier, results) -> None:
    go = job(*arguments)
    barrier.wait(LIMIT_S)
    results.put((number, go()))
