"""The MCP server: requests of the protocol in, calls of the facade out.

    server = make_server(named_in(os.environ))

Every call runs in a thread, so that none holds another up; those that wait for others have places
of their own. What fails is said in the answer, and the server goes on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
from anyio import from_thread, to_thread
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolResult,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    ReadResourceResult,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ShownTool

from swarm_memory.doors.mcp import default, full, prompts, resources
from swarm_memory.doors.mcp.acting import CALL_ID, Acting
from swarm_memory.doors.mcp.feed import Feed
from swarm_memory.doors.mcp.tools import Call, Tool, check_arguments
from swarm_memory.errors import LimitExceededError, SwarmMemoryError
from swarm_memory.wiring.teaching import INSTRUCTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import TypeVar

    from mcp.server import ServerRequestContext
    from mcp_types import (
        CallToolRequestParams,
        GetPromptRequestParams,
        PaginatedRequestParams,
        ReadResourceRequestParams,
    )

    from swarm_memory.doors.mcp.acting import Named
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

    T = TypeVar("T")
    Context = ServerRequestContext[Any, Any]

NAME = "swarm-memory"
WORKING_MAX = 8  # calls at once; more only wait for each other in the store
WAITING_MAX = 64  # calls at once that may wait for others
PROGRESS_S = 0.1  # between two reports of how far a call is
FIXED_MS = 3_600_000  # how long a client may keep lists that do not change
UNEXPECTED = {
    "error": "error",
    "message": "the call failed for a reason that was not foreseen",
    "hint": "the server's log on standard error has it",
    "retryable": False,
}

logger = logging.getLogger(__name__)


class Handlers:
    """What answers the requests of a server."""

    def __init__(self, named: Named, tools: tuple[Tool, ...]) -> None:
        self._acting = Acting(named)
        self._tools = {tool.name: tool for tool in tools}
        self._working = anyio.CapacityLimiter(WORKING_MAX)
        self._waiting = anyio.CapacityLimiter(WAITING_MAX)
        self.feed = Feed(self._acting)

    @asynccontextmanager
    async def life(self, _: Server[Any]) -> AsyncIterator[None]:
        """Feed subscriptions while the server lives; then end its session, close the store."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self.feed.run)
                try:
                    yield
                finally:
                    group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._acting.close, limiter=self._working)

    # --- tools ---

    async def list_tools(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[_shown(tool) for tool in self._tools.values()])

    def input_schema(self, name: str) -> dict[str, Any] | None:
        tool = self._tools.get(name)
        return None if tool is None else tool.arguments

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Answer a call; what is wrong with it is part of the answer, for the model to read."""
        tool = self._tools.get(params.name)
        if tool is None:
            known = ", ".join(self._tools)
            raise MCPError(INVALID_PARAMS, f"no tool {params.name!r:.80}; there are: {known}")
        arguments = params.arguments or {}
        try:
            check_arguments(tool, arguments)
            if tool.undo is None:
                result = await self._do(context, tool, arguments)
            else:
                result = await self._wait(context, tool, arguments)
        except SwarmMemoryError as error:
            return _failed(error.to_dict())
        except Exception:  # the outermost call: the server outlives a defect
            logger.exception("the tool %s failed", tool.name)
            return _failed(UNEXPECTED)
        return CallToolResult(content=[_text(_dump(result))], structured_content=result)

    async def _do(
        self, context: Context, tool: Tool, arguments: dict[str, Json]
    ) -> dict[str, Json]:
        def work() -> dict[str, Json]:
            call = Call(self._caller(context), self._acting, _reporter(context), lambda: False)
            result: dict[str, Json] = tool.run(call, **arguments)
            return result

        return await to_thread.run_sync(work, limiter=self._working)

    async def _wait(
        self, context: Context, tool: Tool, arguments: dict[str, Json]
    ) -> dict[str, Json]:
        """Run a tool that may wait for others; if the call is cancelled it leaves no trace."""
        if self._waiting.available_tokens < 1:
            what = "the calls of this server that wait for others"
            raise LimitExceededError(what, limit=WAITING_MAX, actual=WAITING_MAX + 1, unit="calls")
        stopped = threading.Event()

        def work() -> dict[str, Json]:
            call = Call(self._caller(context), self._acting, _reporter(context), stopped.is_set)
            result: dict[str, Json] = tool.run(call, **arguments)
            return result

        async def tell() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                stopped.set()

        result: dict[str, Json] = {}
        problem: SwarmMemoryError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(tell)
            try:
                # A thread cannot be stopped: this returns when it has seen that nobody waits.
                result = await to_thread.run_sync(work, limiter=self._waiting)
            except SwarmMemoryError as error:
                problem = error
            if stopped.is_set() and problem is None:
                # The call was cancelled after the thread had looked.
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(
                        self._undo, context, tool, result, limiter=self._working
                    )
            group.cancel_scope.cancel()
        if problem is not None:
            raise problem
        return result

    def _undo(self, context: Context, tool: Tool, result: dict[str, Json]) -> None:
        if tool.undo is not None:
            call = Call(self._caller(context), self._acting, _reporter(context), lambda: True)
            tool.undo(call, result)

    # --- resources and prompts ---

    async def list_resources(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        cursor = None if params is None else params.cursor
        return await self._ask(context, lambda swarm: resources.listed(swarm, cursor))

    async def list_templates(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return resources.templates()

    async def read_resource(
        self, context: Context, params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        return await self._ask(context, lambda swarm: resources.read(swarm, str(params.uri)))

    async def list_prompts(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        return prompts.listed()

    async def get_prompt(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        arguments = params.arguments or {}
        return await self._ask(context, lambda swarm: prompts.filled(swarm, params.name, arguments))

    async def _ask(self, context: Context, ask: Callable[[Swarm], T]) -> T:
        """Run what asks the store, in a thread; what fails becomes an error of the protocol."""
        try:
            return await to_thread.run_sync(
                lambda: ask(self._caller(context)), limiter=self._working
            )
        except SwarmMemoryError as error:
            raise MCPError(INTERNAL_ERROR, f"{error}; {error.hint}", error.to_dict()) from error

    def _caller(self, context: Context) -> Swarm:
        client = context.session.client_params
        name = None if client is None else client.client_info.name
        call_id = None if context.meta is None else context.meta.get(CALL_ID)
        return self._acting.caller(name, call_id)


def make_server(named: Named, *, everything: bool = False) -> Server[Any]:
    """Return a server for the store and the identity that were named.

    Args:
        everything: Offer all tools and not only the default ones.
    """
    handlers = Handlers(named, full.TOOLS if everything else tuple(default.TOOLS))
    fixed = CacheHint(ttl_ms=FIXED_MS, scope="public")
    return Server(
        NAME,
        version=version("swarm-memory"),
        title="swarm-memory",
        description="Shared, persistent memory of a swarm of agents",
        instructions=INSTRUCTIONS,
        cache_hints={
            "tools/list": fixed,
            "prompts/list": fixed,
            "resources/templates/list": fixed,
        },
        lifespan=handlers.life,
        get_tool_input_schema=handlers.input_schema,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
        on_subscribe_resource=handlers.feed.subscribe,
        on_unsubscribe_resource=handlers.feed.unsubscribe,
        on_subscriptions_listen=handlers.feed.listen,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
    )


def _shown(tool: Tool) -> ShownTool:
    return ShownTool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.arguments,
        output_schema=tool.result,
        annotations=ToolAnnotations.model_validate(tool.effect | {"open_world_hint": False}),
    )


def _failed(error: dict[str, Any]) -> CallToolResult:
    """Return an answer that says what went wrong and what to do, as text and as data."""
    text = f"{error['error']}: {error['message']}; {error['hint']}"
    return CallToolResult(content=[_text(text)], structured_content=error, is_error=True)


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _reporter(context: Context) -> Callable[[float, float | None, str | None], None]:
    """Return what tells the caller from a thread how far its call is, not too often."""
    told_s = 0.0

    def report(done: float, total: float | None, message: str | None) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= PROGRESS_S:
            told_s = now_s
            from_thread.run(context.session.report_progress, done, total, message)

    return report
