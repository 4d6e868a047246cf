"""Three-way merge of JSON values: what one side left alone follows the other side."""

from __future__ import annotations
