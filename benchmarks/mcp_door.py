"""Storing and retrieving through MCP, one client, against claude-flow's memory

Both servers are processes that the same client of the MCP SDK speaks to over standard input and
output. A memory is a sentence or two; large ones are JSON of 0.4 to 2 KB. Ours also looks for
memories that say nearly the same at each store. claude-flow comes
from npm, into a folder of its own: CLAUDE_FLOW names the command of an installed one.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

import claude_flow
from subjects import WORD, at_least, ratio, told, value

ROUNDS, CALLS = 7, 20
STORE, RETRIEVE, LARGE = "store", "retrieve", "store of 0.4 to 2 KB"
WORDS = 25
TIMES = 5
OURS = str(Path(sys.executable).with_name("swarm-memory"))


class Ours:
    """`swarm-memory mcp`."""

    store, retrieve = "store", "retrieve"

    def __init__(self, folder: str) -> None:
        environment = {**os.environ, "SWARM_MEMORY_URL": f"sqlite:///{folder}/ours.db"}
        self.parameters = StdioServerParameters(command=OURS, args=["mcp"], env=environment)

    def storing(self, number: int, item: object) -> tuple[str, dict[str, object]]:
        return self.store, {"key": f"bench/{number}", "value": item}

    def retrieving(self, number: int) -> tuple[str, dict[str, object]]:
        return self.retrieve, {"key": f"bench/{number}"}


class ClaudeFlow:
    """`claude-flow mcp start`, in whichever of its two forms its memory has."""

    def __init__(self, folder: str, command: str) -> None:
        self.parameters = StdioServerParameters(
            command=command, args=["mcp", "start"], env=dict(os.environ), cwd=folder
        )
        self.one_tool = False

    def storing(self, number: int, item: object) -> tuple[str, dict[str, object]]:
        about = {"key": f"bench/{number}", "value": item, "namespace": "bench"}
        if self.one_tool:
            return "memory_usage", about | {"action": "store", "value": str(item)}
        return "memory_store", about

    def retrieving(self, number: int) -> tuple[str, dict[str, object]]:
        about = {"key": f"bench/{number}", "namespace": "bench"}
        if self.one_tool:
            return "memory_usage", about | {"action": "retrieve"}
        return "memory_retrieve", about


def run() -> list[dict[str, object]]:
    folder = tempfile.mkdtemp(prefix="bench-mcp-")
    try:
        return anyio.run(_measured, folder, claude_flow.command(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measured(folder: str, command: str | None) -> list[dict[str, object]]:
    subjects: dict[str, Ours | ClaudeFlow] = {"ours": Ours(folder)}
    if command is not None:
        subjects["theirs"] = ClaudeFlow(folder, command)
    async with AsyncExitStack() as stack:
        clients = {}
        for name, subject in subjects.items():
            client = Client(subject.parameters, mode="legacy", read_timeout_seconds=120)
            clients[name] = await stack.enter_async_context(client)
        if command is not None:
            tools = {tool.name for tool in (await clients["theirs"].list_tools()).tools}
            subjects["theirs"].one_tool = "memory_usage" in tools
        rows: dict[str, list[dict[str, float]]] = {STORE: [], RETRIEVE: [], LARGE: []}
        for turn in range(ROUNDS + 1):
            for what in rows:
                row = {}
                for name, subject in subjects.items():
                    row[name] = await _spent_s(clients[name], subject, what, turn)
                if turn:  # the first one opens stores and warms caches
                    rows[what].append(row)
    return _figures(rows, command)


def _said(number: int) -> str:
    pick = random.Random(number)
    return f"{number}: " + " ".join(pick.choice(WORD) for _ in range(WORDS))


async def _spent_s(client: Client, subject: Ours | ClaudeFlow, what: str, turn: int) -> float:
    """Return the seconds that one of the calls of a round took."""
    calls = []
    for number in range(turn * CALLS, (turn + 1) * CALLS):
        if what == RETRIEVE:
            calls.append(subject.retrieving(number))
        else:
            calls.append(subject.storing(number, _said(number) if what == STORE else value(number)))
    began = time.perf_counter()
    for tool, arguments in calls:
        answer = await client.call_tool(tool, arguments)
        if answer.is_error:
            raise MCPError(0, str(answer.content))
    return (time.perf_counter() - began) / CALLS


def _figures(rows: dict[str, list[dict[str, float]]], command: str | None) -> list[dict]:
    figures = []
    for what, measured in rows.items():
        ours = 1000 * statistics.median(row["ours"] for row in measured)
        if command is None:
            figures.append(told(f"MCP {what}", f"{ours:.1f} ms", "claude-flow cannot be had here"))
            continue
        theirs = 1000 * statistics.median(row["theirs"] for row in measured)
        times = ratio(measured, "theirs", "ours")
        name, note = (
            f"MCP {what}, claude-flow's time to ours",
            f"{ours:.1f} against {theirs:.1f} ms",
        )
        if what == LARGE:
            figures.append(told(name, f"{times:.2f} ×", note))
        else:
            figures.append(at_least(name, times, TIMES, note))
    return figures
