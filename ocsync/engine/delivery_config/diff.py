"""Differences between a delivery configuration and a file, and the request that removes them.

Pure. What the file does not name stays: fields, targets, and secrets, which the platform hides, so
that they cannot be compared. A target that changes is sent whole, with the fields that show and
the file's secrets, so that it comes out right whether a PATCH merges fields or replaces them; one
with a secret that the file lacks only in part, where a PATCH is known to merge.
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
    """One difference at *path*: `+` new, `~` changed, `-` taken away.

    A secret's *after* is the SecretSource that it comes from.
    """

    sign: str
    path: str
    before: Any
    after: Any


class ConfigChange(NamedTuple):
    """The change of one configuration: a file's wishes against what is *found* (None: it does not
    exist).

    *hidden* are secrets of the file that cannot be compared and are not sent. *stays* are targets
    that the file does not name. *changed* are the types of those to be sent.
    """

    wanted: DesiredConfig
    found: dict[str, Any] | None
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
        """The types of the targets that are taken away."""
        return tuple(
            target_type for target_type in self.changed if self.wanted.targets[target_type] is None
        )

    @property
    def whole(self) -> bool:
        """True when the request names every target that exists, secrets included."""
        named = {
            target_type
            for target_type in self.changed
            if self.wanted.targets[target_type] is not None
        }
        return _there(self.found) <= named and not self.unseen(self.changed)

    def unseen(self, target_types: Iterable[str]) -> list[str]:
        """Return the secrets of *target_types* that exist, or may, and that the file lacks."""
        return [
            f"{target_type}.{name}"
            for target_type in target_types
            if (target := self.wanted.targets[target_type]) is not None
            for name in _unseen(target_type, target, target_in(self.found or {}, target_type))
        ]


def plan_change(
    wanted: DesiredConfig, found: dict[str, Any] | None, *, secrets: bool
) -> ConfigChange:
    """Compare; with *secrets* those of targets that do not change are sent too."""
    edits = [*_own_edits(wanted, found)]
    hidden, changed = list[str](), list[str]()
    for target_type, target in wanted.targets.items():
        there = target_in(found or {}, target_type)
        own = list(_target_edits(target_type, target, there))
        unseen = [] if target is None else list(_secrets(target, target_type))
        if own or (secrets and unseen):
            changed.append(target_type)
            sign = "~" if there else "+"
            edits += [*own, *(Edit(sign, path, MISSING, source) for path, source in unseen)]
        else:
            hidden += [path for path, _ in unseen]
    stays = sorted(_there(found) - wanted.targets.keys())
    return ConfigChange(wanted, found, tuple(edits), tuple(hidden), tuple(stays), tuple(changed))


def validate(draft: ConfigChange) -> Iterator[FieldError]:
    """Yield what keeps *draft* from being sent: required fields of a new one."""
    wanted, found = draft.wanted, draft.found
    if found is None and "Name" not in wanted.fields:
        yield FieldError("Name", "", "is missing: there is no such configuration yet")
    for target_type, target in wanted.targets.items():
        if target is not None:
            there = target_in(found or {}, target_type)
            for name, why in _lacking(
                target_type, target, there, sent=target_type in draft.changed
            ):
                yield FieldError(f"{target_type}.{name}", "", why)
    both = {*draft.stays, *(s for s, t in wanted.targets.items() if t is not None)}
    if len(known := sorted(both.intersection(EXCLUSIVE_TARGETS))) > 1:
        allowed = ", ".join(EXCLUSIVE_TARGETS)
        why = f"would have {' and '.join(known)}: only one of {allowed} is allowed"
        yield FieldError("DeliveryTargets", "", why)
    kept = [target_type for target_type, target in wanted.targets.items() if target is not None]
    if not (draft.stays or kept):
        why = "is missing" if found is None else "would be empty: it must have a target"
        yield FieldError("DeliveryTargets", "", why)


def _lacking(
    target_type: str, target: dict[str, Any], there: dict[str, Any], *, sent: bool
) -> Iterator[tuple[str, str]]:
    """Yield the required fields that *target* lacks, each with the reason."""
    for name, field in DELIVERY_TARGETS[target_type].items():
        if field.required and not (there or target.get(name)):
            yield name, "is missing: the target is new"
    name, value = CUSTOM_HEADER_FIELDS
    if target.get(name) and not (target.get(value) or there.get(name)):
        yield value, f"is missing: {name} needs it"
    for path in _unseen(target_type, target, there) if sent else ():
        if "." in path and path.partition(".")[0] in target:
            yield path, "is missing: OrderCloud hides the one it has"


def body_of(
    draft: ConfigChange, secrets: Mapping[SecretSource, str], *, every: bool = False
) -> dict[str, Any]:
    """Return the request's body: of a PUT for a new configuration, else of a PATCH; *every* target
    is named, or only those that change.
    """
    wanted, found = draft.wanted, draft.found
    if found is None:
        fields = {"Enabled": True, **wanted.fields}
    else:
        now = found
        fields = {n: v for n, v in wanted.fields.items() if not json_equal(now.get(n), v)}
    targets = {
        target_type: target
        and _filled(_document(target_type, target, target_in(found or {}, target_type)), secrets)
        for target_type, target in wanted.targets.items()
        if (target is not None if every else target_type in draft.changed)
    }
    return {**fields, **({"DeliveryTargets": targets} if targets else {})}


def _own_edits(wanted: DesiredConfig, found: dict[str, Any] | None) -> Iterator[Edit]:
    if found is None:
        for name, value in {"Enabled": True, **wanted.fields}.items():
            yield Edit("+", name, MISSING, value)
        return
    for name, value in wanted.fields.items():
        if not json_equal(found.get(name), value):
            yield Edit("~", name, found.get(name), value)


def _target_edits(
    target_type: str, target: dict[str, Any] | None, there: dict[str, Any]
) -> Iterator[Edit]:
    """Yield the differences that can be seen."""
    if target is None:
        if there:
            yield Edit("-", target_type, there, MISSING)
        return
    if not (there or target):
        yield Edit("+", target_type, MISSING, target)
    old = dict(_leaves(there, target_type))
    for path, value in _leaves(target, target_type):
        if not isinstance(value, SecretSource) and not json_equal(old.get(path), value):
            yield Edit("~" if there else "+", path, old.get(path, MISSING), value)


def _leaves(document: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        here = f"{path}.{join_path((name,))}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, here)
        else:
            yield here, value


def _secrets(document: Mapping[str, Any], path: str) -> Iterator[tuple[str, SecretSource]]:
    for here, value in _leaves(document, path):
        if isinstance(value, SecretSource):
            yield here, value


def _unseen(target_type: str, target: dict[str, Any], there: dict[str, Any]) -> Iterator[str]:
    """Return the secrets that *there* has, as far as can be told, and *target* does not name."""
    if not there:
        return
    name, value = CUSTOM_HEADER_FIELDS
    for hidden, field in DELIVERY_TARGETS[target_type].items():
        if field.write_only and hidden not in target and hidden != value:
            yield hidden
    given = dict(_leaves(target, ""))
    for path, shown in _leaves(there, ""):
        place = path.removesuffix(name)
        if place != path and shown and not given.get(place + value):
            yield (place + value).removeprefix(".")


def _there(found: dict[str, Any] | None) -> set[str]:
    """Return the types of the targets that a configuration has."""
    targets = (found or {}).get("DeliveryTargets")
    return {n for n, target in targets.items() if target} if isinstance(targets, dict) else set()


def _document(target_type: str, target: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """Return a target as it is sent: whole, or only the file's fields where a secret cannot be
    sent.
    """
    return target if any(_unseen(target_type, target, there)) else _merged(there, target)


def _merged(there: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """Return *target* with the visible fields that it does not name."""
    result = {name: value for name, value in there.items() if value is not None}
    for name, value in target.items():
        old = result.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _filled(thing: Any, secrets: Mapping[SecretSource, str]) -> Any:
    """Return *thing* with its secrets in place of their sources."""
    if isinstance(thing, SecretSource):
        return secrets[thing]
    if isinstance(thing, dict):
        return {name: _filled(value, secrets) for name, value in thing.items()}
    return thing
