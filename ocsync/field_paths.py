r"""Field paths, and documents written flat: `{"Inventory.Enabled": true, "xp.color": "red"}`.

A path is a dotted name; a dot (or backslash) inside a member's name is written `\.` (`\\`).
Every function here is pure and leaves its arguments as they were.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

_DOT = re.compile(r"((?:[^.\\]|\\.)*)(?:\.|$)", re.DOTALL)


class Absent:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "(absent)"


MISSING: Final = Absent()
"""Value of a member that a document does not have; null is a value."""


def split_path(path: str) -> list[str]:
    r"""Return the member names of *path*: `xp.a\.b` has two, `xp` and `a.b`."""
    if "\\" not in path:
        return path.split(".")
    parts, start = [], 0
    while start <= len(path):
        match = _DOT.match(path, start)
        if match is None:  # a lone backslash at the end stands for itself
            parts.append(path[start:])
            break
        parts.append(re.sub(r"\\(.)", r"\1", match[1]))
        start = match.end() + (0 if match[0].endswith(".") else 1)
    return parts


def join_path(parts: Iterable[str]) -> str:
    """Return the path with these member names; `split_path(join_path(parts)) == parts`."""
    return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in parts)


def flatten(document: Mapping[str, Any], models: Container[str]) -> dict[str, Any]:
    """Return *document* as one value per path; members named in *models* are opened one level.

    An empty or null model has no members, so it stays as it is: `{"Inventory": null}`.
    """
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if name in models and isinstance(value, dict) and value:
            for member, inner in value.items():
                flat[join_path((name, member))] = inner
        else:
            flat[name if "." not in name else join_path((name,))] = value
    return flat


def nest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that *fields* describe; deeper paths override shallower ones."""
    if not any("." in path or "\\" in path for path in fields):
        return dict(fields)
    document: dict[str, Any] = {}
    for path in sorted(fields, key=lambda p: p.count(".")):
        document = with_value(document, split_path(path), fields[path])
    return document


def value_at(document: Any, path: str) -> Any:
    """Return the value at *path*, or MISSING."""
    if "." not in path and "\\" not in path:
        return document.get(path, MISSING) if isinstance(document, dict) else MISSING
    for part in split_path(path):
        if not isinstance(document, dict) or part not in document:
            return MISSING
        document = document[part]
    return document


def with_value(document: Any, parts: list[str], value: Any) -> Any:
    """Return *document* with *value* at *parts*; anything on the way becomes an object."""
    if not parts:
        return value
    top = dict(document) if isinstance(document, dict) else {}
    spot = top
    for part in parts[:-1]:
        below = spot.get(part)
        spot[part] = dict(below) if isinstance(below, dict) else {}
        spot = spot[part]
    spot[parts[-1]] = value
    return top


def is_below(path: str, outer: str) -> bool:
    """Return whether *path* is below *outer*."""
    return path.startswith(outer + ".")


def is_inside_xp_key(path: str) -> bool:
    """Return whether *path* lies inside a key of xp, as `xp.a.b` does."""
    return path.startswith("xp.") and len(split_path(path)) > 2


def xp_text(fields: Mapping[str, Any]) -> str:
    """Return the JSON of the xp that *fields* write; empty when they write none."""
    within = {path: value for path, value in fields.items() if path.startswith("xp.")}
    return msgspec.json.encode(nest(within)["xp"]).decode() if within else ""


def json_equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: 5 is 5.0, true is not 1, absent is null."""
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if one is None or one is MISSING:
            same = other is None or other is MISSING
        elif isinstance(one, bool) or isinstance(other, bool):
            same = one is other
        elif isinstance(one, dict) and isinstance(other, dict):
            names = one.keys() | other.keys()
            pairs += [(one.get(n, MISSING), other.get(n, MISSING)) for n in names]
            continue
        elif isinstance(one, list) and isinstance(other, list):
            same = len(one) == len(other)
            pairs += zip(one, other, strict=False)
        else:
            same = bool(one == other)
        if not same:
            return False
    return True


def json_type(value: Any) -> str:
    """Return the type of a JSON value, of a list with that of its members; empty where a value of
    any type could stand (null, absent, an empty list).
    """
    if isinstance(value, list):
        inner = {kind for member in value if (kind := json_type(member))}
        return f"list of {inner.pop()}" if len(inner) == 1 else "list" if inner else ""
    return _TYPE_NAMES.get(type(value), "")


_TYPE_NAMES = {
    bool: "true or false", int: "number", float: "number", str: "text", dict: "object"
}  # fmt: skip


def type_changes(path: str, before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    """Yield each path at or below *path* whose type differs, with both types."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() & after.keys():
            yield from type_changes(f"{path}.{join_path([name])}", before[name], after[name])
        return
    types = json_type(before), json_type(after)
    if all(types) and types[0] != types[1]:
        yield path, *types


def exceeds_depth(value: Any, levels: int) -> bool:
    """Return whether objects and lists in *value* are nested more than *levels* deep."""
    inner = [value]
    for _ in range(levels + 1):
        nested = [v for v in inner if isinstance(v, dict | list)]
        inner = [v for some in nested for v in (some.values() if isinstance(some, dict) else some)]
        if not inner:
            return False
    return True
