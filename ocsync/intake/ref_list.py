"""Lists of refs: arguments, text with one ref on each line, or CSV with a `ref` column."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from ocsync.errors import InputError, Problem, UsageError
from ocsync.models import Ref
from ocsync.schema import kind_of, read_ref, ref_key
from ocsync.suggestions import with_suggestion

NumberedText = tuple[int, str]
"""A line number, 0 for an argument, and the text there."""


def read_refs(texts: Sequence[str], source: str = "argument") -> list[Ref]:
    """Return *texts* as refs to delete, without repeats. Raises InputError with every bad one."""
    return _parse_refs(((0, word) for word in texts), source)


def read_ref_lines(lines: Iterable[str], source: str) -> list[Ref]:
    """Return the refs in *lines*, without repeats; blank lines and those with `#` are skipped.

    A first line with a cell `ref` makes it CSV, with commas, semicolons or tabs. Raises InputError
    with line and text of every bad ref.
    """
    return _parse_refs(_numbered_refs(lines, source), source)


def read_ref_column(lines: Iterable[str], source: str, *, prefix: str) -> list[Ref]:
    """Return the refs in *lines* as `read_ref_lines` does; *prefix* is put before IDs alone.

    Entities that cannot be deleted may be named.
    """
    rows = _numbered_refs(lines, source)
    texts = ((n, text if text.startswith(prefix) else prefix + text) for n, text in rows)
    return _parse_refs(texts, source, deleting=False)


def _numbered_refs(lines: Iterable[str], source: str) -> Iterator[NumberedText]:
    numbered = ((n, line.strip().lstrip("\ufeff")) for n, line in enumerate(lines, 1))
    rows = [(n, line) for n, line in numbered if line and not line.startswith("#")]
    if not rows:
        raise InputError(f"{source} has no refs")
    header = rows[0][1]
    delimiter = max(",;\t", key=header.count)
    names = [name.strip().strip('"') for name in header.split(delimiter)]
    return _ref_cells(rows[1:], delimiter, names.index("ref")) if "ref" in names else iter(rows)


def _ref_cells(rows: Iterable[NumberedText], delimiter: str, index: int) -> Iterator[NumberedText]:
    for number, line in rows:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        yield number, cells[index].strip() if index < len(cells) else ""


def _parse_refs(texts: Iterable[NumberedText], source: str, *, deleting: bool = True) -> list[Ref]:
    refs: dict[str, Ref] = {}
    problems = []
    for number, text in texts:
        try:
            ref = read_ref(text)
            if deleting and not kind_of(ref).deletable:
                raise UsageError("cannot be deleted: OrderCloud generates variants from specs")
            refs.setdefault(ref_key(ref), ref)
        except UsageError as error:
            reason = with_suggestion(error.message, error.hint)
            problems.append(Problem(source, number, 0, "ref", text[:100], reason))
    if problems:
        done = "deleted" if deleting else "read"
        raise InputError(f"nothing was {done}", problems[:1000])
    return list(refs.values())
