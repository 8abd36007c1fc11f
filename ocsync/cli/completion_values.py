"""Values that completion offers, by what the value is: from the outline and the local workspace.

A source gets the words before the value and its beginning, and yields words with a description.
None asks a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocsync.cli.completion_reply import Reading
    from ocsync.store.workspace import Workspace

Row = tuple[str, ...]
"""A word, perhaps with a description."""
Source = Callable[["Reading", str, Mapping[str, str]], Iterable[Row]]

DIRECTIVES = {"FILE": "files", "DIR": "folders"}
"""The values that the shell completes by itself."""
_STAGED_ONLY = ("stage show", "stage drop", "stage export", "plan")
"""The commands whose refs are always staged ones."""
_SHEET_BYTES = 4_000_000
"""Most bytes of the part of a spreadsheet that names its sheets."""


def _listed(name: str) -> Source:
    """Return the source of the words that the outline lists under *name*."""

    def read(reading: Reading, _: str, __: Mapping[str, str]) -> Iterable[Row]:
        rows: list[list[str]] = reading.outline["words"][name]
        return map(tuple, rows)

    return read


def _workspace(reading: Reading, environ: Mapping[str, str]) -> Workspace:
    from ocsync.store.workspace import Workspace

    named = reading.last("--workspace")
    return Workspace.find(Path(named) if named else None, environ=environ, cwd=Path.cwd())


def _profile_folder(reading: Reading, environ: Mapping[str, str]) -> Path:
    workspace = _workspace(reading, environ)
    name = reading.last("--profile") or environ.get("OCSYNC_PROFILE") or workspace.current_profile
    if name not in workspace.profile_names():
        raise FileNotFoundError(name)
    return workspace.root / "profiles" / name


def _profiles(reading: Reading, _: str, environ: Mapping[str, str]) -> Iterator[Row]:
    workspace = _workspace(reading, environ)
    current = workspace.current_profile
    for name in workspace.profile_names():
        yield (name, "current") if name == current else (name,)


def _mappings(reading: Reading, _: str, environ: Mapping[str, str]) -> Iterator[Row]:
    for path in sorted((_workspace(reading, environ).root / "mappings").glob("*.toml")):
        yield (path.stem,)
    for path in sorted(Path().glob("*.toml")):
        yield path.name, "file"


def _runs(reading: Reading, _: str, environ: Mapping[str, str]) -> Iterator[Row]:
    from ocsync.store.recent import recent_runs

    for record in recent_runs(_profile_folder(reading, environ) / "runs"):
        state = "open" if record.get("state") == "open" else f"exit {record.get('exit_code', 0)}"
        started = str(record["started"])[:16].replace("T", " ")
        yield record["id"], f"{record.get('sort', 'resume')} {started} UTC, {state}"


def _refs(reading: Reading, start: str, environ: Mapping[str, str]) -> Iterator[Row]:
    """Yield the beginnings of refs, and the refs that are staged."""
    from ocsync.cli.completion_reply import LIMIT
    from ocsync.store.recent import staged_refs

    if "/" not in start and reading.path not in _STAGED_ONLY:
        for name, noun in reading.outline["words"]["KIND"]:
            yield f"{name}/", noun
    try:
        journal = _profile_folder(reading, environ) / "journal"
    except FileNotFoundError:
        return
    given = {*reading.arguments}
    for ref in staged_refs(journal, start, LIMIT):
        if ref not in given:
            yield ref, "staged"


def _fields_of(reading: Reading) -> list[tuple[str, str]]:
    """Return the fields of the kind that the line names by a ref, a kind or --kind."""
    first = (reading.arguments or [""])[0]
    kind = first.partition("/")[0]
    return [(name, text) for name, text in reading.outline["fields"].get(kind, ())]


def _assignments(reading: Reading, start: str, _: Mapping[str, str]) -> Iterator[Row]:
    """Yield `FIELD=`, and the values of a field that has few."""
    operator = "+=" if reading.path == "stage adjust" else "="
    name, equals, _value = start.partition("=")
    for field, kind in _fields_of(reading):
        if reading.path == "stage adjust" and kind not in ("whole number", "number"):
            continue
        if not equals:
            yield f"{field}{operator}", kind
        elif kind == "true or false" and name.rstrip(":") == field:
            yield from ((f"{name}={value}",) for value in ("true", "false"))


def _fields(reading: Reading, _: str, __: Mapping[str, str]) -> Iterator[Row]:
    yield from _fields_of(reading)


def _sheets(reading: Reading, _: str, __: Mapping[str, str]) -> Iterator[Row]:
    from ocsync.intake.sheet_scan import sheet_names

    path = Path((reading.arguments or [""])[0]).expanduser()
    for number, name in enumerate(sheet_names(path, _SHEET_BYTES), 1):
        yield name, f"sheet {number}"


def _topics(reading: Reading, _: str, __: Mapping[str, str]) -> Iterator[Row]:
    """Yield the commands below the words that were typed, and the topics."""
    path = " ".join(reading.arguments)
    yield from reading.outline["commands"].get(path, {}).get("commands", ())
    if not path:
        for page in sorted((Path(__file__).parents[1] / "guide").glob("*.md")):
            yield page.stem, "topic"


def _variables(_: Reading, __: str, environ: Mapping[str, str]) -> Iterator[Row]:
    return ((name,) for name in sorted(environ) if not name.startswith("_OCSYNC"))


def _kinds_and_targets(reading: Reading, _: str, __: Mapping[str, str]) -> Iterator[Row]:
    words = reading.outline["words"]
    targets = {name for name, *_ in words["TARGET"]}
    yield from map(tuple, words["TARGET"])
    yield from (tuple(row) for row in words["KIND"] if row[0] not in targets)


SOURCES: dict[str, Source] = {
    "TARGET": _listed("TARGET"),
    "KIND": _listed("KIND"),
    "KIND|TARGET": _kinds_and_targets,
    "REGION-ENV": _listed("REGION-ENV"),
    "RISK": _listed("RISK"),
    "QUESTION": _listed("QUESTION"),
    "SHELL": _listed("SHELL"),
    "SCHEMA": _listed("SCHEMA"),
    "PROFILE": _profiles,
    "PROFILE|FILE": _profiles,
    "MAPPING": _mappings,
    "RUN": _runs,
    "REF": _refs,
    "FIELD=VALUE": _assignments,
    "FIELD": _fields,
    "NAME|NUMBER": _sheets,
    "COMMAND|TOPIC": _topics,
    "VAR": _variables,
}
