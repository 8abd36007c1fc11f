"""Records as the data of JSON output, whose names are those of the code.

The records in a workspace keep the names that they have always had; output may rename them when its
format number is raised.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ocsync.models import Finding, Sign

if TYPE_CHECKING:
    from ocsync.engine.history import StepRow
    from ocsync.store import RunInfo

_WORDS = {sign.value: sign.word for sign in Sign}


def json_data(value: Any) -> Any:
    """Return *value* as JSON data; records by the names of their members."""
    if isinstance(value, Finding):
        facts = _members(value)
        del facts["sign"]
        return {"ref": facts.pop("ref"), "result": value.sign.word, **facts}
    if isinstance(value, msgspec.Struct):
        return _members(value)
    if isinstance(value, (list, tuple)):
        return [json_data(item) for item in value]
    if isinstance(value, dict):
        return {name: json_data(item) for name, item in value.items()}
    return value


@functools.cache
def _layout(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """Return the members of *kind*, each with the value at which it is left out, or NODEFAULT."""
    layout: list[tuple[str, Any]] = []
    for field in msgspec.structs.fields(kind):
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        layout.append((field.name, default))
    omits = kind.__struct_config__.omit_defaults
    return layout if omits else [(name, msgspec.NODEFAULT) for name, _ in layout]


def _members(record: msgspec.Struct) -> dict[str, Any]:
    config = record.__struct_config__
    facts: dict[str, Any] = {config.tag_field: config.tag} if config.tag_field else {}
    for name, default in _layout(type(record)):
        value = getattr(record, name)
        if default is msgspec.NODEFAULT or value != default:
            facts[name] = json_data(value)
    return facts


def signs_by_word(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of findings by the word for their sign: `same`, `moved`, `differs`..."""
    return {_WORDS[sign]: number for sign, number in counts.items()}


def delivery_counts(facts: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of a delivery, counts as whole numbers and times in seconds."""
    facts = {"unexpected" if name == "strangers" else name: n for name, n in facts.items()}
    return {name: n if name in _TIMES else int(n) for name, n in facts.items()}


_TIMES = ("first", "p50", "p95", "last")


def run_data(info: RunInfo) -> dict[str, Any]:
    """Return the record of a run as JSON data.

    The exit code of an open run is not known.
    """
    facts = _members(info)
    return {
        "id": facts.pop("id"),
        "type": facts.pop("kind"),
        "undoes": list(facts.pop("reverts")),
        **facts,
        "exit_code": info.exit_code if info.state == "closed" else None,
        "verified": signs_by_word(info.verified),
        "verified_kinds": {kind: signs_by_word(n) for kind, n in info.verified_kinds.items()},
        "delivery": delivery_counts(info.delivery),
    }


def step_data(row: StepRow) -> dict[str, Any]:
    """Return a step of a run as JSON data; its result is null where verification did not differ."""
    facts = _members(row)
    sign, note = facts.pop("sign"), facts.pop("said")
    return {
        **{name: value for name, value in facts.items() if name not in ("found", "place")},
        "result": _WORDS[sign] if sign else None,
        "found": facts["found"],
        "note": note,
        "where": facts["place"],
    }
