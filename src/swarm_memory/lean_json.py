"""JSON for processes that only pass by: the C code of Python's json package, without the package.

The package imports regular expressions, and with them more than all of what a hook needs of us:
a third of the time in which Python itself starts. Values and texts are the same; whatever is no
JSON is left to the package, which says what is wrong with it. Where Python has no such C code it
is the package altogether.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from swarm_memory.model import Json

_SPACE = " \t\n\r"


class _Reading:
    """What the scanner asks of a decoder, as the package has it by default."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {
        "NaN": float("nan"),
        "Infinity": float("inf"),
        "-Infinity": float("-inf"),
    }.__getitem__


def _refuse(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} is no JSON")


def _dumps(value: Json) -> str:
    """Return the shortest JSON of a value, not only in ASCII.

    Raises:
        TypeError, ValueError: The value is none that JSON has.
    """
    pieces = _make_encoder({}, _refuse, _quoted, None, ":", ",", False, False, False)(value, 0)
    return "".join(pieces)


def _loads(text: str | bytes) -> Json:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        given = text if isinstance(text, str) else text.decode("utf-8", "surrogatepass")
        if given[:1] in _SPACE:
            given = given.lstrip(_SPACE)
        value, end = _scan(given, 0)
        if end == len(given) or not given[end:].strip(_SPACE):
            return value
    except (StopIteration, UnicodeDecodeError):
        pass  # there is no value at all, or its text is in another encoding
    import json

    return json.loads(text)


dumps: Callable[[Json], str]
loads: Callable[[str | bytes], Json]
try:
    from _json import encode_basestring as _quoted
    from _json import make_encoder as _make_encoder
    from _json import make_scanner as _make_scanner
except ImportError:  # another Python
    import json
    from functools import partial

    dumps = partial(json.dumps, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    loads = json.loads
else:
    _scan = _make_scanner(_Reading)  # type: ignore[arg-type]
    dumps, loads = _dumps, _loads
