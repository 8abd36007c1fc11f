"""The report of an export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocsync.render.text import Line, count

if TYPE_CHECKING:
    from ocsync.engine.export.export import ExportedKind


def document(file: str, form: str, exported: Sequence[ExportedKind]) -> dict[str, Any]:
    """Return what was written as JSON data."""
    return {
        "file": file,
        "form": form,
        "rows": sum(one.rows for one in exported),
        "kinds": [
            {"kind": one.kind.name, "rows": one.rows, "missing": list(one.missing)}
            for one in exported
        ],
    }


def lines(file: str, exported: Sequence[ExportedKind]) -> Iterator[Line]:
    """Yield a line with what was written."""
    counts = ", ".join(count(one.rows, one.kind.noun) for one in exported)
    place = "standard output" if file == "-" else Path(file).name
    sign = "+" if any(one.rows for one in exported) else "="
    yield sign, f"{counts} to {place}"


def next_commands(file: str, exported: Sequence[ExportedKind]) -> list[str]:
    """Return the commands that import the file when it has been edited."""
    return [f"ocsync stage import {file}"] if any(one.rows for one in exported) else []
