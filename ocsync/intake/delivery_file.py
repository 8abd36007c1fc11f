"""Files of delivery configurations -> what is wanted, with every fault told at once.

    [[deliveries]]
    ID = "search"
    Name = "Sitecore Search"
    [deliveries.DeliveryTargets.Http]
    Endpoint = "https://consumer.example/in"
    Secret = { env = "CONSUMER_SECRET" }         or { command = "op read ..." }

The same in JSON; there a list, or one configuration alone, will do too. `Kafka = false` (or null)
takes a target away. Secrets are only named: a literal one is refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from ocsync.errors import InputError, Problem
from ocsync.intake.field_values import FieldError, why_not
from ocsync.schema import (
    CUSTOM_HEADER,
    DELIVERY_CONFIG,
    DELIVERY_TARGETS,
    ID_PATTERN,
    SECRET_FIELDS,
)
from ocsync.secrets import SecretSource

_ITEM = ("ID", *DELIVERY_CONFIG)
_TOP = {"deliveries", "format", "command", "attached"}
_LITERAL = 'is a secret: write { env = "NAME" } or { command = "..." } in its place'
_JSON = re.compile(r"\s*(\{|\[\s*[{\]])")
"""How a JSON document begins; a TOML one may begin with `[[deliveries]]`."""
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


class DesiredConfig(NamedTuple):
    """A delivery configuration as a file has it.

    *fields* are those of its own that are given. *targets* are documents by type, None where one is
    to be taken away; their secrets are SecretSources.
    """

    id: str
    fields: dict[str, Any]
    targets: dict[str, dict[str, Any] | None]


def read_deliveries(name: str, data: bytes) -> list[DesiredConfig]:
    """The configurations in a file. Raises InputError with every fault, but without a secret."""
    label = PurePath(name).name
    found, problems, seen = [], list[Problem](), set[str]()
    for number, item in enumerate(_items(label, _parsed(label, data)), 1):
        own = item.get("ID") if isinstance(item, dict) else None
        place = own if isinstance(own, str) and own else f"deliveries[{number}]"
        faults = list(_faults(item))
        if place.casefold() in seen:
            faults.append(FieldError("ID", place, "is in the file twice"))
        seen.add(place.casefold())
        problems += [problem(label, place, fault) for fault in faults]
        if not faults:
            found.append(_wanted(item))
    if problems:
        raise refused(problems)
    return found


def problem(label: str, place: str, fault: FieldError) -> Problem:
    """*fault* of the configuration *place* in file *label*."""
    return Problem(label, 0, 0, ".".join(filter(None, [place, fault.field])), *fault[1:])


def refused(problems: list[Problem]) -> InputError:
    """The error that tells all of *problems*."""
    are = "thing is" if len(problems) == 1 else "things are"
    return InputError(f"{len(problems):,} {are} wrong; nothing was sent", problems)


def _parsed(label: str, data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
        if not label.endswith(".toml") and (label.endswith(".json") or _JSON.match(text)):
            return json.loads(text, object_pairs_hook=_once)
        return tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise _unreadable(label, error.lineno, error.colno, f"is not JSON: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        line, column = (int(at[1]), int(at[2])) if at else (0, 0)
        raise _unreadable(label, line, column, f"is not TOML: {_AT.sub('', str(error))}") from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(label, 0, 0, f"cannot be read: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1]
        raise ValueError(f"{twice[0]} stands twice in one object")
    return found


def _unreadable(label: str, line: int, column: int, why: str) -> InputError:
    return refused([Problem(label, line, column, "", "", why.strip())])


def _items(label: str, document: Any) -> list[Any]:
    """The configurations in a document of any of the forms."""
    if isinstance(document, list):
        return document
    if isinstance(document, dict) and "ID" in document and "deliveries" not in document:
        return [{n: v for n, v in document.items() if n not in ("format", "command")}]
    items = document.get("deliveries") if isinstance(document, dict) else None
    unknown = sorted(document.keys() - _TOP) if isinstance(document, dict) else []
    if not isinstance(items, list) or unknown:
        what = f"has no {', '.join(unknown)}" if unknown else "has no list of deliveries"
        raise refused([Problem(label, 0, 0, "", "", f"a file of delivery configurations {what}")])
    return items


def _faults(item: Any) -> Iterator[FieldError]:
    if not isinstance(item, dict):
        yield FieldError("", _shown(item), "is no delivery configuration")
        return
    own = item.get("ID")
    if own is None:
        yield FieldError("ID", "", "is missing")
    elif not isinstance(own, str) or not ID_PATTERN.fullmatch(own):
        yield FieldError(
            "ID", _shown(own), "an ID has letters, digits, - and _ only, 1 to 100 of them"
        )
    for name, value in item.items():
        if name == "targets":
            yield FieldError(name, "", "is what ocsync delivery bind sets; leave it out")
        elif name not in _ITEM:
            yield FieldError(name, "", f"is unknown; there are {', '.join(_ITEM)}")
        elif name in DELIVERY_CONFIG and (why := why_not(DELIVERY_CONFIG[name], name, value)):
            yield FieldError(name, _shown(value), why)
    targets = item.get("DeliveryTargets")
    for slot, target in targets.items() if isinstance(targets, dict) else ():
        for fault in _target_faults(slot, target):
            yield fault._replace(field=".".join(filter(None, [slot, fault.field])))


def _target_faults(slot: str, target: Any) -> Iterator[FieldError]:
    fields = DELIVERY_TARGETS.get(slot)
    if fields is None:
        yield FieldError("", "", f"is no delivery target; there are {', '.join(DELIVERY_TARGETS)}")
        return
    if target is None or target is False:
        return
    if not isinstance(target, dict):
        yield FieldError("", _shown(target), "is neither a target nor false, which takes it away")
        return
    for name, field in fields.items():
        if field.required and not field.write_only and target.get(name) is None:
            yield FieldError(name, "", "is missing")
    for name, value in target.items():
        if name not in fields:
            yield FieldError(name, "", f"is unknown; {slot} has {', '.join(fields)}")
        elif name not in SECRET_FIELDS and value is not None:
            if _is_source(value) and (why := why_not(fields[name], name, value)):
                yield FieldError(name, "", f"{why}; only secrets are written as a reference")
            elif why := why_not(fields[name], name, value):
                yield FieldError(name, _shown(value), why)
    yield from _literals(target)
    name, value = CUSTOM_HEADER
    if target.get(value) and not target.get(name):
        yield FieldError(value, "", f"goes with {name} only")


def _literals(document: Mapping[str, Any], path: str = "") -> Iterator[FieldError]:
    """Secrets that stand in the file themselves, at any depth; they are not shown."""
    for name, value in document.items():
        here = f"{path}{name}"
        if name in SECRET_FIELDS:
            if value is not None and not _is_source(value):
                yield FieldError(here, "", _LITERAL)
        elif isinstance(value, dict):
            yield from _literals(value, here + ".")


def _is_source(value: Any) -> bool:
    """Whether *value* names a secret: `{ env = "X" }` or `{ command = "x" }`."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(name, said)] = value.items()
    return name in ("env", "command") and isinstance(said, str) and bool(said.strip())


def _wanted(item: dict[str, Any]) -> DesiredConfig:
    fields = {n: item[n] for n in ("Name", "Enabled") if item.get(n) is not None}
    targets = item.get("DeliveryTargets") or {}
    there = {n: None if t is None or t is False else _sourced(t) for n, t in targets.items()}
    return DesiredConfig(item["ID"], fields, there)


def _sourced(document: Mapping[str, Any]) -> dict[str, Any]:
    """*document* with a SecretSource for each reference."""
    return {
        name: SecretSource(**value) if name in SECRET_FIELDS and value
        else _sourced(value) if isinstance(value, dict)
        else value
        for name, value in document.items()
    }  # fmt: skip


def _shown(value: Any) -> str:
    """*value* as text; of what has members only the size, for there may be secrets in it."""
    if isinstance(value, dict | list):
        return ""
    return value if isinstance(value, str) else json.dumps(value)
