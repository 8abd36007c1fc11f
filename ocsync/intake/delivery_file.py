"""Files of delivery configurations, read with every fault reported at once.

    [[deliveries]]
    ID = "search"
    Name = "Sitecore Search"
    [deliveries.DeliveryTargets.Http]
    Endpoint = "https://consumer.example/in"
    Secret = { env = "CONSUMER_SECRET" }         or { command = "op read ..." }

JSON has the same members; it may also be a list, or one configuration alone. `Kafka = false` (or
null) removes a target. A secret is given by reference; a literal one is refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from ocsync.characters import replace_undecodable
from ocsync.errors import InputError, Problem
from ocsync.intake.field_values import FieldError, value_fault
from ocsync.json_text import RepeatedKey, unique_members
from ocsync.plurals import count
from ocsync.schema import (
    CUSTOM_HEADER_FIELDS,
    DELIVERY_CONFIG_FIELDS,
    DELIVERY_TARGETS,
    ID_PATTERN,
    ID_RULE,
    SECRET_FIELDS,
)
from ocsync.secrets import SecretSource

_CONFIG_FIELDS = ("ID", *DELIVERY_CONFIG_FIELDS)
_DOCUMENT_FIELDS = {"deliveries", "format", "command", "attached"}
_LITERAL_FAULT = 'is a secret: write { env = "NAME" } or { command = "..." } instead'
_JSON_START = re.compile(r"\s*(\{|\[\s*[{\]])")
"""Beginning of a JSON document; TOML may begin with `[[deliveries]]`."""
_TOML_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")


class DesiredConfig(NamedTuple):
    """A delivery configuration as a file describes it.

    *fields* are the given ones of the configuration itself. *targets* maps a type of target to its
    document, or to None when the target is to be removed; secrets in it are SecretSources.
    """

    id: str
    fields: dict[str, Any]
    targets: dict[str, dict[str, Any] | None]


def read_deliveries(name: str, data: bytes) -> list[DesiredConfig]:
    """Return the configurations in a file.

    Raises InputError with every fault; no secret is shown in it.
    """
    label = replace_undecodable(PurePath(name).name)
    configs, problems, known_ids = [], list[Problem](), set[str]()
    for number, item in enumerate(_config_items(label, _parse(label, data)), 1):
        given_id = item.get("ID") if isinstance(item, dict) else None
        config_name = (
            given_id if isinstance(given_id, str) and given_id else f"deliveries[{number}]"
        )
        faults = list(_config_faults(item))
        if config_name.casefold() in known_ids:
            faults.append(FieldError("ID", config_name, "appears twice in the file"))
        known_ids.add(config_name.casefold())
        problems += [problem_of(label, config_name, fault) for fault in faults]
        if not faults:
            configs.append(_desired_config(item))
    if problems:
        raise refusal(problems)
    return configs


def problem_of(label: str, config_name: str, fault: FieldError) -> Problem:
    """Return *fault* as a problem of the configuration *config_name* in file *label*."""
    return Problem(label, 0, 0, ".".join(filter(None, [config_name, fault.field])), *fault[1:])


def refusal(problems: list[Problem]) -> InputError:
    """Return the error that lists *problems*."""
    return InputError(f"{count(len(problems), 'problem')}; nothing was sent", problems)


def _parse(label: str, data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
        if not label.endswith(".toml") and (label.endswith(".json") or _JSON_START.match(text)):
            return json.loads(text, object_pairs_hook=unique_members)
        return tomllib.loads(text)
    except RepeatedKey as error:
        raise _unreadable(label, 0, 0, str(error)) from None
    except json.JSONDecodeError as error:
        raise _unreadable(label, error.lineno, error.colno, f"is not JSON: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        position = _TOML_POSITION.search(str(error))
        line, column = (int(position[1]), int(position[2])) if position else (0, 0)
        raise _unreadable(
            label, line, column, f"is not TOML: {_TOML_POSITION.sub('', str(error))}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(label, 0, 0, f"cannot be read: {error}") from None


def _unreadable(label: str, line: int, column: int, reason: str) -> InputError:
    return refusal([Problem(label, line, column, "", "", reason.strip())])


def _config_items(label: str, document: Any) -> list[Any]:
    """Return the configurations in a document, whichever form it has."""
    if isinstance(document, list):
        return document
    if isinstance(document, dict) and "ID" in document and "deliveries" not in document:
        return [{n: v for n, v in document.items() if n not in ("format", "command")}]
    items = document.get("deliveries") if isinstance(document, dict) else None
    unknown = sorted(document.keys() - _DOCUMENT_FIELDS) if isinstance(document, dict) else []
    if not isinstance(items, list) or unknown:
        names = ", ".join(unknown)
        reason = f"has unknown keys: {names}" if unknown else "has no list of deliveries"
        raise refusal([Problem(label, 0, 0, "", "", reason)])
    return items


def _config_faults(item: Any) -> Iterator[FieldError]:
    if not isinstance(item, dict):
        yield FieldError("", _display_text(item), "is not a delivery configuration")
        return
    given_id = item.get("ID")
    if given_id is None:
        yield FieldError("ID", "", "is missing")
    elif not isinstance(given_id, str) or not ID_PATTERN.fullmatch(given_id):
        yield FieldError("ID", _display_text(given_id), ID_RULE)
    for name, value in item.items():
        if name == "targets":
            yield FieldError(name, "", "is set by ocsync delivery bind; leave it out")
        elif name not in _CONFIG_FIELDS:
            yield FieldError(name, "", f"is unknown; use {', '.join(_CONFIG_FIELDS)}")
        elif name in DELIVERY_CONFIG_FIELDS and (
            reason := value_fault(DELIVERY_CONFIG_FIELDS[name], name, value)
        ):
            yield FieldError(name, _display_text(value), reason)
    targets = item.get("DeliveryTargets")
    for target_type, target in targets.items() if isinstance(targets, dict) else ():
        for fault in _target_faults(target_type, target):
            yield fault._replace(field=".".join(filter(None, [target_type, fault.field])))


def _target_faults(target_type: str, target: Any) -> Iterator[FieldError]:
    fields = DELIVERY_TARGETS.get(target_type)
    if fields is None:
        yield FieldError("", "", f"is not a delivery target; use {', '.join(DELIVERY_TARGETS)}")
        return
    if target is None or target is False:
        return
    if not isinstance(target, dict):
        yield FieldError(
            "", _display_text(target), "is neither a target nor false (which removes it)"
        )
        return
    for name, field in fields.items():
        if field.required and not field.write_only and target.get(name) is None:
            yield FieldError(name, "", "is missing")
    for name, value in target.items():
        if name not in fields:
            yield FieldError(name, "", f"is unknown; {target_type} has {', '.join(fields)}")
        elif name not in SECRET_FIELDS and value is not None:
            if _is_secret_reference(value) and (reason := value_fault(fields[name], name, value)):
                yield FieldError(name, "", f"{reason}; only a secret can be a reference")
            elif reason := value_fault(fields[name], name, value):
                yield FieldError(name, _display_text(value), reason)
    yield from _literal_secrets(target)
    name, value = CUSTOM_HEADER_FIELDS
    if target.get(value) and not target.get(name):
        yield FieldError(value, "", f"needs {name}")


def _literal_secrets(document: Mapping[str, Any], path: str = "") -> Iterator[FieldError]:
    """Yield a fault for each literal secret, at any depth, without its value."""
    for name, value in document.items():
        member_path = f"{path}{name}"
        if name in SECRET_FIELDS:
            if value is not None and not _is_secret_reference(value):
                yield FieldError(member_path, "", _LITERAL_FAULT)
        elif isinstance(value, dict):
            yield from _literal_secrets(value, member_path + ".")


def _is_secret_reference(value: Any) -> bool:
    """Return whether *value* refers to a secret: `{ env = "X" }` or `{ command = "x" }`."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(name, reference)] = value.items()
    return name in ("env", "command") and isinstance(reference, str) and bool(reference.strip())


def _desired_config(item: dict[str, Any]) -> DesiredConfig:
    fields = {n: item[n] for n in ("Name", "Enabled") if item.get(n) is not None}
    targets = item.get("DeliveryTargets") or {}
    documents = {
        n: None if t is None or t is False else _with_secret_sources(t) for n, t in targets.items()
    }
    return DesiredConfig(item["ID"], fields, documents)


def _with_secret_sources(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return *document* with a SecretSource in place of each reference to a secret."""
    return {
        name: SecretSource(**value) if name in SECRET_FIELDS and value
        else _with_secret_sources(value) if isinstance(value, dict)
        else value
        for name, value in document.items()
    }  # fmt: skip


def _display_text(value: Any) -> str:
    """Return *value* as text, or "" for a list or object, which may hold secrets."""
    if isinstance(value, dict | list):
        return ""
    return value if isinstance(value, str) else json.dumps(value)
