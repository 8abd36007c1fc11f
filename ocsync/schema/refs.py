"""Refs: reading and making them, and their paths and bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ocsync.errors import UsageError
from ocsync.models import Ref
from ocsync.schema.kinds import KINDS, Field, Kind
from ocsync.suggestions import QUESTION, listed, suggestion

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,100}")


_PATHS = {
    name: (re.sub(r"\{\w+\}", "%s", kind.path), kind.path.count("{"))
    for name, kind in KINDS.items()
}
"""The path of each kind with `%s` for its first IDs, and the number of these."""
_PLAINLY_WRITTEN = frozenset(name for name, kind in KINDS.items() if not (kind.query or kind.link))
"""The kinds whose path is that of their writes, whatever is written."""
_SLASHES = {
    name: tuple(range(len(kind.ids) - kind.optional_ids, len(kind.ids) + 1))
    for name, kind in KINDS.items()
}
"""The numbers of slashes that a ref of each kind may have."""
_AFTER_CREATION = {
    name: paths
    for name, kind in KINDS.items()
    if (paths := tuple(path for path, field in kind.fields.items() if field.after_creation))
}
ID_RULE = "an ID has letters, digits, - and _ only, 1 to 100 of them"
"""The rule for IDs, as messages state it."""
KINDS_COMMAND = "ocsync help stage template"
"""The command that lists the kinds."""


def ref_key(ref: Ref) -> str:
    """Return *ref* as a key: refs that differ only in case have the same one.

    OrderCloud probably takes IDs that differ only in case for the same (guide/ordercloud.md 5.1).
    """
    return ref.casefold()


def ref_keys(refs: Iterable[Ref]) -> list[str]:
    """Return the key of each of *refs*, as `ref_key` does."""
    return [ref.casefold() for ref in refs]


def kind_names(refs: Sequence[Ref]) -> set[str]:
    """Return the names of the kinds of *refs*, of which there is at least one."""
    least, greatest = min(refs), max(refs)
    prefix = least[: least.find("/") + 1]
    if greatest.startswith(prefix):  # so do those between the two
        return {prefix[:-1]}
    return {ref[: ref.find("/")] for ref in refs}


def distinct_refs(refs: Iterable[Ref]) -> list[Ref]:
    """Return *refs* without repetition, each as it is spelled first."""
    spelled: dict[str, Ref] = {}
    for ref in refs:
        spelled.setdefault(ref_key(ref), ref)
    return list(spelled.values())


def kind_of(ref: Ref) -> Kind:
    """Return the kind of *ref*, which must be valid (see `read_ref`)."""
    return KINDS[ref.partition("/")[0]]


def ids_of(ref: Ref) -> dict[str, str]:
    """Return the IDs in *ref* by OrderCloud's names, without optional ones that it leaves out."""
    name, *values = ref.split("/")
    ids = dict(zip(KINDS[name].ids, values, strict=False))
    return ids if "" not in values else {name: value for name, value in ids.items() if value}


def make_ref(kind: Kind | str, ids: Mapping[str, str | None]) -> Ref:
    """Return the ref of *kind* with the IDs of these names; other names are ignored.

    The place of an optional ID that is left out before another stays empty.
    """
    row = KINDS[kind] if isinstance(kind, str) else kind
    needed = [value for name in row.needed_ids if (value := ids.get(name))]
    optional = [ids.get(name) or "" for name in row.ids[len(row.needed_ids) :]]
    while optional and not optional[-1]:
        optional.pop()
    return "/".join([row.name, *needed, *optional])


def has_all_ids(ref: Ref) -> bool:
    """Return whether *ref* has all the IDs that its kind needs."""
    kind, ids = kind_of(ref), ids_of(ref)
    party = tuple(name for name in kind.ids[len(kind.needed_ids) :] if name in ids)
    return ids.keys() >= {*kind.needed_ids} and party in kind.parties


def read_ref(text: str) -> Ref:
    """Return *text*, which must be a ref.

    Raises UsageError with the reason: unknown kind, too few or too many IDs, an invalid ID.
    """
    name, *values = text.split("/")
    kind = KINDS.get(name)
    if kind is None:
        hint = suggestion(name, KINDS, f"kinds: {listed(KINDS, KINDS_COMMAND)}")
        if not values and not hint.startswith(QUESTION):
            raise UsageError(f'"{name}" is not a ref, which has a kind and IDs: product/P1')
        raise UsageError(f'"{name}" is not a kind', hint=hint)
    given = {name for name, value in zip(kind.ids, values, strict=False) if value}
    needed, optional = kind.needed_ids, kind.ids[len(kind.needed_ids) :]
    for place, value in enumerate(values):
        is_gap = not value and len(needed) <= place < len(values) - 1
        if not (is_gap or ID_PATTERN.fullmatch(value)):
            raise UsageError(ID_RULE)
    party = tuple(name for name in optional if name in given)
    if len(values) > len(kind.ids) or not given.issuperset(needed) or party not in kind.parties:
        raise UsageError(f"{kind.noun_with_article} is written {' or '.join(_shapes(kind))}")
    return text


def _shapes(kind: Kind) -> list[str]:
    """Return the forms of a ref of *kind*, with ID names in place of IDs."""
    if kind.parties == tuple(
        kind.ids[len(kind.needed_ids) :][:n] for n in range(len(kind.parties))
    ):
        optional = "".join(f"[/{name}]" for name in kind.ids[len(kind.needed_ids) :])
        return ["/".join([kind.name, *kind.needed_ids]) + optional]
    return [make_ref(kind, {n: n for n in (*kind.needed_ids, *party)}) for party in kind.parties]


def is_ref(text: str) -> bool:
    """Return whether a stored ref is valid here; a newer version may have had more kinds."""
    return text.count("/") in _SLASHES.get(text[: text.find("/")], ())


def references_of(ref: Ref, fields: Mapping[str, Any]) -> Iterator[Ref]:
    """Yield the refs that *ref* refers to, by its own IDs or by the values of *fields*."""
    known: dict[str, Any] = {**fields, **ids_of(ref)}
    for reference in kind_of(ref).references:
        values = [v for name in reference.ids if isinstance(v := known.get(name), str) and v]
        if reference.unless and any(map(known.get, reference.unless)):
            continue
        if len(values) == len(reference.ids):
            other = "/".join([reference.kind, *values])
            if ref_key(other) != ref_key(ref):
                yield other


def parents_of(ref: Ref) -> Iterator[Ref]:
    """Yield the refs that must exist for *ref* to exist, by its IDs alone."""
    return references_of(ref, {})


def lineage(ref: Ref) -> Iterator[Ref]:
    """Yield *ref* and all its ancestors, by its IDs; some may come twice."""
    yield ref
    for parent in parents_of(ref):
        yield from lineage(parent)


def url_of(ref: Ref) -> str:
    """Return the path of an entity, or the path an assignment is posted to, below `/v1`."""
    parts = ref.split("/")
    path, number = _PATHS[parts[0]]
    return path % tuple(parts[1 : number + 1])


def write_url_of(ref: Ref, fields: Mapping[str, Any]) -> str:
    """Return the path (with query) that a write of *fields* is sent to."""
    if ref[: ref.find("/")] in _PLAINLY_WRITTEN:
        return url_of(ref)
    kind = kind_of(ref)
    given = [(name, fields.get(field)) for name, field in kind.query.items()]
    pairs = [f"{name}={str(value).lower()}" if isinstance(value, bool) else f"{name}={value}"
             for name, value in given if value not in (None, False)]  # fmt: skip
    path = kind.delete_path.format_map(ids_of(ref)) if kind.link else url_of(ref)
    return path + "?" * bool(pairs) + "&".join(pairs)


def delete_url_of(ref: Ref) -> str:
    """Return the path (with query) whose DELETE removes *ref*."""
    kind = kind_of(ref)
    ids = ids_of(ref)
    if not kind.assignment:
        return kind.path.format_map(ids)
    path, _, query = kind.delete_path.partition("?")
    pairs = [p for p in query.split("&") if p and p[p.index("{") + 1 : -1] in ids]
    return (path + "?" * bool(pairs) + "&".join(pairs)).format_map(ids)


def body_ids(ref: Ref) -> dict[str, str]:
    """Return the IDs in an assignment's body: those that its path does not hold."""
    kind = kind_of(ref)
    return {name: v for name, v in ids_of(ref).items() if "{" + name + "}" not in kind.path}


def given_after_creation(kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *fields* that only an entity which exists can have."""
    paths = _AFTER_CREATION.get(kind.name, ())
    return {path: fields[path] for path in paths if fields.get(path) is not None}


def stageable_fields(kind: Kind) -> list[str]:
    """Return the fields of *kind* that an edit may have."""
    return [
        path for path, field in kind.fields.items() if not (field.read_only or field.write_only)
    ]


def field_at(kind: Kind, path: str) -> Field | None:
    """Return the field that *path* names or lies in (`xp.a.b` is in `xp`), or None."""
    if path in kind.fields:
        return kind.fields[path]
    if path.startswith("xp.") and "xp" in kind.fields:
        return kind.fields["xp"]
    return None
