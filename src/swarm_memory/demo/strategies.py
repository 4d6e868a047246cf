"""What the demo's agents do: kinds of tasks, each with strategies of different speed and luck.

A strategy is a function of (file name, content) that returns a finding. Whether it succeeded is
told by a check of its own: Python's symbol table for definitions, the imports in compiled code,
whether a file's parser accepts it, and for comments and declarations the tokens (see `text`).
"""

from __future__ import annotations

import ast
import io
import json
import re
import symtable
import tokenize
import tomllib
import warnings

from swarm_memory.demo import text as texts
from swarm_memory.demo.text import language_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType
    from typing import Any

    Strategy = Callable[[str, bytes], Any]

# No pattern begins with what matches line ends: on a file of empty lines it would take minutes.
DEFINITION = re.compile(rb"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+\w+", re.MULTILINE)
OUTLINE = re.compile(rb"^(?:async[ \t]+def|def|class)[ \t]+\w+", re.MULTILINE)
IMPORT = re.compile(r"^(?:import|from)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([^#;\n]+))", re.MULTILINE
)
# What a text of a language that has no parser here contains at least.
EVIDENCE = {
    "sql": r"(?i)\b(?:select|create|insert|update|delete|alter|drop|pragma)\b",
    "html": r"<\w",
    "css": r"\{",
    "yaml": r":\s|:\Z|- ",
    **dict.fromkeys(("javascript", "typescript", "rust", "go", "java"), r"[{;=(]"),
    "c": r"#[ \t]*\w|[{;]",
}
NOTABLE, NOTABLE_DEFINITIONS = "notable", 20
# What a strategy may raise on a file that is not what its name says. A MemoryError of the compiler
# means that the source is nested too deeply for its parser.
REFUSALS = (SyntaxError, ValueError, RecursionError, MemoryError)
FAILURES = (*REFUSALS, tokenize.TokenError)


# --- how many functions and classes a Python file defines ---


def definitions_at_margin(name: str, content: bytes) -> int:
    """Count definitions that are not indented: fast, and misses every method."""
    return len(OUTLINE.findall(content))


def definitions_by_pattern(name: str, content: bytes) -> int:
    """Count lines that look like a definition: fast, and fooled by strings."""
    return len(DEFINITION.findall(content))


def definitions_by_tokens(name: str, content: bytes) -> int:
    """Count the keywords among the tokens: strings do not fool it."""
    tokens = tokenize.tokenize(io.BytesIO(content).readline)
    return sum(t.type == tokenize.NAME and t.string in {"def", "class"} for t in tokens)


def definitions_by_tree(name: str, content: bytes) -> int:
    """Count the definitions in the syntax tree."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return sum(isinstance(node, kinds) for node in ast.walk(_parse(content)))


def definitions_in_symbol_table(name: str, content: bytes) -> int | None:
    """Count the scopes that the compiler opens; None if it refuses the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = symtable.symtable(content.decode(), name, "exec")
    except REFUSALS:
        return None
    return sum(_scopes(table))


def _scopes(table: symtable.SymbolTable) -> Iterator[int]:
    implied = {"lambda", "genexpr", "listcomp", "setcomp", "dictcomp"}
    for child in table.get_children():
        yield int(child.get_type() in {"function", "class"} and child.get_name() not in implied)
        yield from _scopes(child)


# --- which modules a Python file imports ---


def imports_at_margin(name: str, content: bytes) -> list[str]:
    """Read the lines that begin with an import: fast, misses what is indented or in a list."""
    return sorted(set(IMPORT.findall(content.decode())))


def imports_by_pattern(name: str, content: bytes) -> list[str]:
    """Read the lines that look like an import, indented or not: fooled by strings."""
    found: set[str] = set()
    for origin, names in IMPORTS.findall(content.decode()):
        found.update([origin] if origin else (n.split()[0] for n in names.split(",") if n.strip()))
    return sorted(found)


def imports_by_tree(name: str, content: bytes) -> list[str]:
    """Read the imports from the syntax tree."""
    found: set[str] = set()
    for node in ast.walk(_parse(content)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return sorted(found)


def imports_in_code(name: str, content: bytes) -> list[str] | None:
    """Read the imports that the compiled code makes; None if the compiler refuses the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Optimising would drop the branches that never run, and their imports with them.
            code = compile(content, name, "exec", dont_inherit=True, optimize=0)
    except REFUSALS:
        return None
    return sorted(set(_imported(code)))


def _imported(code: CodeType) -> Iterator[str]:
    import dis

    level = 0
    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_CONST", "LOAD_SMALL_INT"} and isinstance(step.argval, int):
            level = step.argval
        elif step.opname == "IMPORT_NAME":
            yield "." * level + str(step.argval)
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            yield from _imported(constant)


def _parse(content: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(content)


# --- what language a file is written in ---


def language_by_name(name: str, content: bytes) -> str:
    """Believe the end of the name."""
    return language_of(name)


def language_by_both(name: str, content: bytes) -> str:
    """Believe the end of the name if it says something, else guess from the content."""
    named = language_by_name(name, content)
    return language_by_content(name, content) if named == "unknown" else named


def language_by_content(name: str, content: bytes) -> str:
    """Guess from the first bytes."""
    head = content[:200].lstrip()
    if b"\0" in content[:1024]:
        return "binary"
    if head.startswith(b"#!"):
        return "python" if b"python" in head.splitlines()[0] else "shell"
    if head.startswith((b"{", b"[")):
        return "json"
    if head.startswith((b'"""', b"import ", b"from ", b"def ", b"class ")):
        return "python"
    return "markdown" if head.startswith(b"# ") else "text"


def language_that_parses(name: str, content: bytes) -> str:
    """Tell the language by its parser, or by name and what such a text contains at least."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "binary"
    if "\0" in text:
        return "binary"
    named = language_of(name)
    if named in PARSERS:
        return named if _accepted(PARSERS[named], text) else "text"
    if text.startswith("#!"):
        return "python" if "python" in text.splitlines()[0] else "shell"
    return named if named != "unknown" and re.search(EVIDENCE.get(named, ""), text) else "text"


PARSERS: dict[str, Callable[[str], Any]] = {
    "python": ast.parse,
    "json": json.loads,
    "toml": tomllib.loads,
}


def _accepted(parse: Callable[[str], Any], text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse(text)
    except REFUSALS:
        return False
    return True


# task type → (strategies by name, the check)
TASKS: dict[str, tuple[dict[str, Strategy], Strategy]] = {
    "definitions": (
        {
            "margin": definitions_at_margin,
            "pattern": definitions_by_pattern,
            "tokens": definitions_by_tokens,
            "tree": definitions_by_tree,
        },
        definitions_in_symbol_table,
    ),
    "imports": (
        {"margin": imports_at_margin, "pattern": imports_by_pattern, "tree": imports_by_tree},
        imports_in_code,
    ),
    "comments": (
        {
            "margin": texts.comments_by_margin,
            "mark": texts.comments_by_mark,
            "outside strings": texts.comments_outside_strings,
        },
        texts.comments_in_tokens,
    ),
    "declarations": (
        {
            "margin": texts.declarations_at_margin,
            "pattern": texts.declarations_by_pattern,
            "outside strings": texts.declarations_outside_strings,
        },
        texts.declarations_in_tokens,
    ),
    "language": (
        {"name": language_by_name, "content": language_by_content, "both": language_by_both},
        language_that_parses,
    ),
}


def is_notable(kind: str, finding: object) -> bool:
    """Tell whether others should hear of a finding."""
    return kind == "definitions" and isinstance(finding, int) and finding >= NOTABLE_DEFINITIONS
