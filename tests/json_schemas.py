"""Checks JSON output against the schemas of `ocsync schema`, strictly: no member may be undeclared.

A schema is compiled once into functions. They know what msgspec writes into schemas and refuse to
compile anything else, so that no keyword is passed over in silence.

    python -m tests.json_schemas

writes the snapshot of all schemas, and their list on the guide's page.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ocsync.render.json_schemas import STREAMS, schema_names, schema_of, summary_of

SNAPSHOT = Path(__file__).parent / "render" / "json_schemas.json"
PAGE = Path(__file__).parent.parent / "ocsync" / "guide" / "json.md"
TABLE = "| schema | what it describes |\n| --- | --- |\n"
"""The head of the page's table."""
Check = Callable[[Any, str], str]
"""Returns what is wrong with a value, whose place is given; empty for nothing."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
_NOTES = {"$schema", "title", "description", "default", "$defs"}
_MOST = 200
"""Most items of a list that are checked: the others are alike."""


def faults_of(words: Sequence[str], out: str, err: str) -> list[str]:
    """What is wrong with the JSON that a command line printed."""
    faults = []
    for line in [*out.splitlines(), *err.splitlines()]:
        if line.startswith(('{"format": ', '{"type": "')):
            value = json.loads(line)
            name = schema_name(words, value)
            if fault := checker(name)(value, name):
                faults.append(fault)
    return faults


def schema_name(words: Sequence[str], value: dict[str, Any]) -> str:
    """The name of the schema that *value*, which a command line printed, must satisfy."""
    if "command" in value:
        return str(value["command"]).replace(" ", "-")
    if value["type"] == "error":
        return "error"
    if value["type"] in ("summary", "survey", "dry_run", "drift"):
        command = next(word for word in words if word in STREAMS)
        return f"{command}-{value['type'].replace('_', '-')}"
    return f"event-{value['type'].replace('_', '-')}"


def snapshot() -> str:
    """All schemas as text, a line for each and for each definition that they share."""
    schemas = {name: schema_of(name) for name in schema_names()}
    definitions: dict[str, Any] = {}
    for schema in schemas.values():
        for name, inner in schema.pop("$defs", {}).items():
            assert definitions.setdefault(name, inner) == inner, f"two types are called {name}"
    tables = {"$defs": definitions, "schemas": schemas}
    texts = []
    for title, table in tables.items():
        rows = ",\n".join(
            f"{json.dumps(name)}: {json.dumps(table[name])}" for name in sorted(table)
        )
        texts.append(f"{json.dumps(title)}: {{\n{rows}\n}}")
    return "{" + ",\n".join(texts) + "}\n"


def listing() -> str:
    """The rows of the guide's table of schemas."""
    return "".join(f"| `{name}` | {summary_of(schema_of(name))} |\n" for name in schema_names())


@functools.cache
def checker(name: str) -> Check:
    """The check of the schema called *name*."""
    try:
        schema = schema_of(name)
    except KeyError:
        return lambda value, place: f"there is no schema {name}"
    return compile_check(schema, {})


def compile_check(schema: dict[str, Any], definitions: dict[str, Check]) -> Check:
    for name, inner in schema.get("$defs", {}).items():
        definitions[name] = _later(inner, definitions)
    keywords = {key: value for key, value in schema.items() if key not in _NOTES}
    if not keywords:
        return lambda value, place: ""
    if "$ref" in keywords:
        assert len(keywords) == 1, keywords
        return lambda value, place: definitions[keywords["$ref"].rpartition("/")[2]](value, place)
    if "anyOf" in keywords:
        assert len(keywords) == 1, keywords
        return _any_of([compile_check(one, definitions) for one in keywords["anyOf"]])
    if "enum" in keywords or "const" in keywords:
        allowed = keywords.pop("enum", None) or [keywords.pop("const")]
        assert not keywords, keywords
        return lambda value, place: (
            "" if value in allowed else f"{place} is {value!r}, not of {allowed}"
        )
    kind = keywords.pop("type")
    if kind == "object":
        return _object(keywords, definitions)
    if kind == "array":
        return _array(keywords, definitions)
    assert not keywords, keywords
    return _plain(kind)


def _later(schema: dict[str, Any], definitions: dict[str, Check]) -> Check:
    """A check that is compiled when it is first used, as definitions refer to one another."""
    compiled: list[Check] = []

    def check(value: Any, place: str) -> str:
        if not compiled:
            compiled.append(compile_check(schema, definitions))
        return compiled[0](value, place)

    return check


def _plain(kind: str) -> Check:
    types = _TYPES[kind]

    def check(value: Any, place: str) -> str:
        good = isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))
        return "" if good else f"{place} is {value!r}, not {kind}"

    return check


def _any_of(checks: list[Check]) -> Check:
    def check(value: Any, place: str) -> str:
        faults = [one(value, place) for one in checks]
        return "" if "" in faults else " or ".join(faults)

    return check


def _object(keywords: dict[str, Any], definitions: dict[str, Check]) -> Check:
    properties = {
        name: compile_check(one, definitions)
        for name, one in keywords.pop("properties", {}).items()
    }
    required = frozenset(keywords.pop("required", ()))
    has_others = "additionalProperties" in keywords or not properties
    others = compile_check(keywords.pop("additionalProperties", {}), definitions)
    assert not keywords, keywords

    def check(value: Any, place: str) -> str:
        if type(value) is not dict:
            return f"{place} is {value!r}, not an object"
        if missing := required - value.keys():
            return f"{place} has no {', '.join(sorted(missing))}"
        for name, inner in value.items():
            known = properties.get(name)
            if known is None and not has_others:
                return f"{place} has {name}, which its schema does not"
            if fault := (known or others)(inner, f"{place}.{name}"):
                return fault
        return ""

    return check


def _array(keywords: dict[str, Any], definitions: dict[str, Check]) -> Check:
    first = [compile_check(one, definitions) for one in keywords.pop("prefixItems", ())]
    rest = keywords.pop("items", {})
    others = compile_check(rest if isinstance(rest, dict) else {}, definitions)
    least, most = keywords.pop("minItems", 0), keywords.pop("maxItems", None)
    assert not keywords, keywords

    def check(value: Any, place: str) -> str:
        if type(value) is not list:
            return f"{place} is {value!r}, not a list"
        if len(value) < least or (most is not None and len(value) > most):
            return f"{place} has {len(value)} items"
        for number, inner in enumerate(value[:_MOST]):
            one = first[number] if number < len(first) else others
            if fault := one(inner, f"{place}[{number}]"):
                return fault
        return ""

    return check


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(TABLE)
    PAGE.write_text(head + TABLE + listing() + rest[rest.index("\n\n") + 1 :], encoding="utf-8")
