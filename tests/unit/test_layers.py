"""The layers hold: who may import whom, and nothing below the facade asks the outside world."""

import ast
from pathlib import Path

import pytest

import swarm_memory

ROOT = Path(swarm_memory.__file__).parent
BASE = {"errors", "key", "model", "codec", "clock", "config", "merge", "context"}
BASE |= {"layout", "locate", "checks", "patterns", "identity", "processes"}
BASE |= {"pausing", "lean", "lean_json", "locks", "reports"}
BASE |= {"redact", "recording", "commands", "failures", "invocations", "verdicts"}
BASE |= {"prompts"}
PARTS = {"rows", "quota", "settle", "once", "seats", "lines", "letters", "runs"}  # of services
PARTS |= {"paging", "cache", "lives", "touching", "writing", "claims"}
PARTS |= {"indexing", "alike", "meter", "spool", "tuned", "packing"}
PARTS |= {"monitor"}
PARTS |= {"learned", "advice", "findings"}  # of outcomes
SERVICES = {"records", "events", "outcomes", "health", "retention", *PARTS}
SERVICES |= {"leases", "messages", "conflicts", "sessions"}
SERVICES |= {"search"}

BASE |= {"stem", "text", "ranking"}  # of search
BASE |= {"wording", "noteworthy"}  # of the briefing
SERVICES |= {"edits", "injections"}
FACADE = {"swarm", "manager", "aio", "exchange", "dispatch", "keeper"}
FACADE |= {"repair", "integrity", "backup"}
FACADE |= {"briefing", "sources"}
FACADE |= {"remembering", "practice"}
FACADE |= {"memories", "callers", "journal"}
FACADE |= {"forgetting", "flow", "moving"}
FACADE |= {"wire", "remote"}
FACADE |= {"tuning", "labelling"}
FACADE |= {"worktrees", "optimizing"}
FACADE |= {"duties", "ticker"}
FACADE |= {"overview"}  # of the dashboard
SERVICES |= {"forecast"}
ALLOWED = {
    "base": BASE,
    "learning": {"lean", "learning"},
    "engine": {"engine", "errors", "clock", "lean", "locks"},
    "service": BASE | PARTS | {"learning"},
    "importers": BASE | {"importers"},
    "facade": BASE | SERVICES | FACADE | {"engine", "importers", "learning"},
    "wiring": BASE | {"wiring"},
    "doctor": BASE | SERVICES | {"doctor", "engine", "importers", "wiring"},
    "doors": BASE
    | FACADE
    | {"doors", "demo", "importers", "doctor", "wiring", "findings", "learning", "monitor"},
    "demo": BASE | FACADE | {"demo"},
    "telemetry": BASE | FACADE | {"monitor"},
    "adapters": BASE | FACADE | {"adapters", "records"},  # of records only Put
    "testing": BASE | SERVICES | FACADE | {"testing", "engine", "doors"},
}
FOREIGN = {
    "apsw": {"engine", "importers"},
    "psycopg": {"engine"},
    "urllib3": {"facade"},
    "pydantic": {"doors", "adapters"},
    "numpy": {"learning"},
    "typer": {"doors"},
    "rich": {"doors"},
    "mcp": {"doors"},
    "mcp_types": {"doors"},
    "starlette": {"doors", "testing"},
    "uvicorn": {"doors", "testing"},
    "anyio": {"doors", "adapters", "testing"},
    "langgraph": {"adapters"},
    "langchain_core": {"adapters"},
    "claude_agent_sdk": {"adapters"},
    "agents": {"adapters"},
    "anthropic": {"adapters"},
    "pydantic_ai": {"adapters"},
    "google": {"adapters"},
    "crewai": {"adapters"},
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"doors"},
}
# Reading the environment is for the facade and the doors.
ENVIRONMENT = {"swarm", "doors", "demo", "testing"}


def modules():
    return sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def layer(path):
    name = room(path)
    for kind, names in (("base", BASE), ("service", SERVICES), ("facade", FACADE)):
        if name in names:
            return kind
    return name


def imports(path):
    """Yield the modules that `path` imports at run time; what only type checkers see is free."""
    waiting = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "swarm_memory":
                yield from (f"swarm_memory.{alias.name}" for alias in node.names)
            else:
                yield node.module
        waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_layer_and_below(path):
    allowed = ALLOWED[layer(path)] | {room(path)}
    public = {"Swarm": "swarm", "SwarmMemoryManager": "manager", "Put": "records"}
    for module in imports(path):
        first, *rest = module.split(".")
        if first == "swarm_memory":
            name = public.get(rest[0], rest[0])
            if name[0].isupper():
                name = "errors"
            assert name in allowed, f"{room(path)} may not import {module}"
        elif first in FOREIGN:
            assert layer(path) in FOREIGN[first], f"{room(path)} may not import {first}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_below_the_facade_reads_the_environment(path):
    if room(path) in ENVIRONMENT:
        return
    tree = ast.parse(path.read_text())
    names = [n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    assert not {"environ", "getenv"} & set(names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_sql_stands_outside_the_engine(path):
    if layer(path) in {"engine", "importers"}:
        return
    verbs = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ")
    strings = [
        n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)
    ]
    assert [s for s in strings if isinstance(s, str) and s.startswith(verbs)] == []


def test_the_check_can_fail(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import apsw\nfrom swarm_memory import records\nfrom swarm_memory.engine import x"
    )

    assert {"apsw", "swarm_memory.records", "swarm_memory.engine"} == set(imports(bad))
