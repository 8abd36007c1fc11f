"""Differences between a delivery configuration and a file, and the request that removes them.

Pure. Fields, targets and secrets that the file does not name stay as they are. The platform hides
secrets, so they cannot be compared. A target that changes is sent whole, with its visible fields
and the file's secrets, so that the result is right whether a PATCH merges fields or replaces them.
A target with a secret that the file lacks is sent in part, where a PATCH is known to merge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ocsync.field_paths import MISSING, join_path, json_equal
from ocsync.intake.delivery_file import DesiredConfig
from ocsync.intake.field_values import FieldError
from ocsync.listener_attachment import target_in
from ocsync.schema import CUSTOM_HEADER_FIELDS, DELIVERY_TARGETS, EXCLUSIVE_TARGETS
from ocsync.secrets import SecretSource


class Edit(NamedTuple):
    """One difference at *path*: `+` new, `~` changed, `-` removed.

    A secret's *after* is the SecretSource that it comes from.
    """

    sign: str
    path: str
    before: Any
    after: Any


class ConfigChange(NamedTuple):
    """The change of one configuration, from the *current* document (None: it does not exist) to the
    *desired* one of a file.

    *hidden* are secrets of the file that cannot be compared and are not sent. *stays* are the types
    of targets that the file does not name, *changed* those of targets to be sent.
    """

    desired: DesiredConfig
    current: dict[str, Any] | None
    edits: tuple[Edit, ...]
    hidden: tuple[str, ...]
    stays: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def sources(self) -> list[tuple[str, SecretSource]]:
        """The secrets that are sent, by path."""
        return [(e.path, e.after) for e in self.edits if isinstance(e.after, SecretSource)]

    @property
    def removes(self) -> tuple[str, ...]:
        """The types of the targets to be removed."""
        return tuple(
            target_type for target_type in self.changed if self.desired.targets[target_type] is None
        )

    @property
    def whole(self) -> bool:
        """True when the request names every target that exists, secrets included."""
        named = {
            target_type
            for target_type in self.changed
            if self.desired.targets[target_type] is not None
        }
        return _target_types(self.current) <= named and not self.unseen(self.changed)

    def unseen(self, target_types: Iterable[str]) -> list[str]:
        """Return the secrets of *target_types* that may exist and that the file lacks."""
        return [
            f"{target_type}.{name}"
            for target_type in target_types
            if (target := self.desired.targets[target_type]) is not None
            for name in _missing_secrets(
                target_type, target, target_in(self.current or {}, target_type)
            )
        ]


def plan_change(
    desired: DesiredConfig, document: dict[str, Any] | None, *, secrets: bool
) -> ConfigChange:
    """Compare *desired* with *document*; with *secrets*, unchanged targets that have some are sent
    too.
    """
    edits = [*_field_edits(desired, document)]
    hidden, changed = list[str](), list[str]()
    for target_type, target in desired.targets.items():
        current = target_in(document or {}, target_type)
        visible = list(_target_edits(target_type, target, current))
        secret_values = [] if target is None else list(_secret_sources(target, target_type))
        if visible or (secrets and secret_values):
            changed.append(target_type)
            sign = "~" if current else "+"
            edits += [
                *visible,
                *(Edit(sign, path, MISSING, source) for path, source in secret_values),
            ]
        else:
            hidden += [path for path, _ in secret_values]
    stays = sorted(_target_types(document) - desired.targets.keys())
    return ConfigChange(
        desired, document, tuple(edits), tuple(hidden), tuple(stays), tuple(changed)
    )


def validate(change: ConfigChange) -> Iterator[FieldError]:
    """Yield the faults that keep *change* from being sent: missing required fields, exclusive
    targets together, or no target.
    """
    desired, document = change.desired, change.current
    if document is None and "Name" not in desired.fields:
        yield FieldError("Name", "", "is missing: a new configuration needs it")
    for target_type, target in desired.targets.items():
        if target is not None:
            current = target_in(document or {}, target_type)
            for name, reason in _missing_fields(
                target_type, target, current, sent=target_type in change.changed
            ):
                yield FieldError(f"{target_type}.{name}", "", reason)
    resulting = {*change.stays, *(s for s, t in desired.targets.items() if t is not None)}
    if len(exclusive := sorted(resulting.intersection(EXCLUSIVE_TARGETS))) > 1:
        allowed = ", ".join(EXCLUSIVE_TARGETS)
        reason = f"would have {' and '.join(exclusive)}, but only one of {allowed} is allowed"
        yield FieldError("DeliveryTargets", "", reason)
    kept = [target_type for target_type, target in desired.targets.items() if target is not None]
    if not (change.stays or kept):
        reason = "is missing" if document is None else "would be empty; it must have a target"
        yield FieldError("DeliveryTargets", "", reason)


def _missing_fields(
    target_type: str, target: dict[str, Any], current: dict[str, Any], *, sent: bool
) -> Iterator[tuple[str, str]]:
    """Yield the required fields that *target* lacks, each with the reason."""
    for name, field in DELIVERY_TARGETS[target_type].items():
        if field.required and not (current or target.get(name)):
            yield name, "is missing: a new target needs it"
    name, value = CUSTOM_HEADER_FIELDS
    if target.get(name) and not (target.get(value) or current.get(name)):
        yield value, f"is missing: {name} needs it"
    for path in _missing_secrets(target_type, target, current) if sent else ():
        if "." in path and path.partition(".")[0] in target:
            yield path, "is missing: OrderCloud does not show the current one"


def body_of(
    change: ConfigChange, secrets: Mapping[SecretSource, str], *, all_targets: bool = False
) -> dict[str, Any]:
    """Return the request's body: of a PUT for a new configuration, else of a PATCH.

    With *all_targets* it names every target of the file, else only those that change.
    """
    desired, document = change.desired, change.current
    if document is None:
        fields = {"Enabled": True, **desired.fields}
    else:
        now = document
        fields = {n: v for n, v in desired.fields.items() if not json_equal(now.get(n), v)}
    targets = {
        target_type: target
        and _with_secrets(
            _target_body(target_type, target, target_in(document or {}, target_type)), secrets
        )
        for target_type, target in desired.targets.items()
        if (target is not None if all_targets else target_type in change.changed)
    }
    return {**fields, **({"DeliveryTargets": targets} if targets else {})}


def _field_edits(desired: DesiredConfig, document: dict[str, Any] | None) -> Iterator[Edit]:
    if document is None:
        for name, value in {"Enabled": True, **desired.fields}.items():
            yield Edit("+", name, MISSING, value)
        return
    for name, value in desired.fields.items():
        if not json_equal(document.get(name), value):
            yield Edit("~", name, document.get(name), value)


def _target_edits(
    target_type: str, target: dict[str, Any] | None, current: dict[str, Any]
) -> Iterator[Edit]:
    """Yield the visible differences of one target."""
    if target is None:
        if current:
            yield Edit("-", target_type, current, MISSING)
        return
    if not (current or target):
        yield Edit("+", target_type, MISSING, target)
    current_values = dict(_leaves(current, target_type))
    for path, value in _leaves(target, target_type):
        if not isinstance(value, SecretSource) and not json_equal(current_values.get(path), value):
            yield Edit("~" if current else "+", path, current_values.get(path, MISSING), value)


def _leaves(document: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        field_path = f"{path}.{join_path((name,))}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, field_path)
        else:
            yield field_path, value


def _secret_sources(document: Mapping[str, Any], path: str) -> Iterator[tuple[str, SecretSource]]:
    for field_path, value in _leaves(document, path):
        if isinstance(value, SecretSource):
            yield field_path, value


def _missing_secrets(
    target_type: str, target: dict[str, Any], current: dict[str, Any]
) -> Iterator[str]:
    """Yield the paths of secrets that *current* has, or may have, and *target* does not name."""
    if not current:
        return
    name, value = CUSTOM_HEADER_FIELDS
    for hidden, field in DELIVERY_TARGETS[target_type].items():
        if field.write_only and hidden not in target and hidden != value:
            yield hidden
    desired_values = dict(_leaves(target, ""))
    for path, shown in _leaves(current, ""):
        prefix = path.removesuffix(name)
        if prefix != path and shown and not desired_values.get(prefix + value):
            yield (prefix + value).removeprefix(".")


def _target_types(document: dict[str, Any] | None) -> set[str]:
    """Return the types of the targets that a configuration has."""
    targets = (document or {}).get("DeliveryTargets")
    return {n for n, target in targets.items() if target} if isinstance(targets, dict) else set()


def _target_body(
    target_type: str, target: dict[str, Any], current: dict[str, Any]
) -> dict[str, Any]:
    """Return the target's part of the body: whole, or only the file's fields where a secret of it
    is not known.
    """
    return (
        target if any(_missing_secrets(target_type, target, current)) else _merged(current, target)
    )


def _merged(current: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """Return *target* with the visible fields of *current* that it does not name."""
    result = {name: value for name, value in current.items() if value is not None}
    for name, value in target.items():
        old = result.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _with_secrets(body: Any, secrets: Mapping[SecretSource, str]) -> Any:
    """Return *body* with its secrets in place of their sources."""
    if isinstance(body, SecretSource):
        return secrets[body]
    if isinstance(body, dict):
        return {name: _with_secrets(value, secrets) for name, value in body.items()}
    return body
