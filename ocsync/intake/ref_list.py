"""Lists of refs: arguments, or text with one a line, or CSV with a `ref` column."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from ocsync.errors import InputError, Problem, UsageError
from ocsync.models import Ref
from ocsync.schema import kind_of, read_ref

Found = tuple[int, str]


def read_refs(words: Sequence[str], where: str = "argument") -> list[Ref]:
    """*words* as refs to delete, each once. Raises InputError, naming every one that is none."""
    return _checked(((0, word) for word in words), where)


def read_ref_lines(lines: Iterable[str], where: str) -> list[Ref]:
    """The refs in *lines*: blank ones and those after a `#` do not count.

    Where the first line has a cell `ref` it is CSV, with commas, semicolons or tabs. Raises
    InputError, naming line and text of all that is wrong.
    """
    kept = ((n, line.strip().lstrip("\ufeff")) for n, line in enumerate(lines, 1))
    rows = [(n, line) for n, line in kept if line and not line.startswith("#")]
    if not rows:
        raise InputError(f"{where}: no ref in it")
    header = rows[0][1]
    mark = max(",;\t", key=header.count)
    names = [name.strip().strip('"') for name in header.split(mark)]
    found = _cells(rows[1:], mark, names.index("ref")) if "ref" in names else iter(rows)
    return _checked(found, where)


def _cells(rows: Iterable[Found], mark: str, place: int) -> Iterator[Found]:
    for number, line in rows:
        cells = next(csv.reader([line], delimiter=mark), [])
        yield number, cells[place].strip() if place < len(cells) else ""


def _checked(found: Iterable[Found], where: str) -> list[Ref]:
    refs: dict[str, Ref] = {}
    problems = []
    for number, text in found:
        try:
            ref = read_ref(text)
            if not kind_of(ref).deletable:
                raise UsageError("cannot be deleted: variants come and go with generate")
            refs.setdefault(ref.casefold(), ref)
        except UsageError as error:
            problems.append(Problem(where, number, 0, "ref", text[:100], error.message))
    if problems:
        raise InputError("nothing was deleted", problems[:1000])
    return list(refs.values())
