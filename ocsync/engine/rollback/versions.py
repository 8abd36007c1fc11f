"""The documents of an entity before a run and now, with and without the values of its parent. Pure.

A read shows a child product with the values of its parent where it has none of its own, and does
not tell which these are (guide/ordercloud.md 5.2). So a value counts as inherited where the parent
shows the same, unless the run wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ocsync.diff import Document
from ocsync.field_paths import MISSING, is_below, join_path, json_equal, value_at
from ocsync.models import Fields
from ocsync.schema import Kind


class Parents(NamedTuple):
    """The documents of an entity's parent before the run and now; None where it had none."""

    before: Document | None = None
    now: Document | None = None


class Versions(NamedTuple):
    """The documents *before* the run and *now* as reads show them, and those without what they
    inherit.
    """

    before: Document
    own_before: Document
    now: Document
    own_now: Document

    @classmethod
    def of(
        cls, kind: Kind, written: Fields, before: Document | None, now: Document, parents: Parents
    ) -> Versions:
        """Return the versions of an entity of *kind* in which a run has *written* these values."""
        return cls(
            before or {},
            _without_inherited(kind, before or {}, parents.before, {}),
            now,
            _without_inherited(kind, now, parents.now, written),
        )

    def was_inherited(self, path: str) -> bool:
        """Return whether the value at *path* was the parent's before the run."""
        own, shown = value_at(self.own_before, path), value_at(self.before, path)
        return not json_equal(own, shown)

    def target(self, kind: Kind) -> Document:
        """Return the values to restore: null for a field that was inherited.

        Members of nested models are an exception: null would not make them inherited again.
        """
        nested = {name: value for name, value in self.before.items() if name in kind.models}
        return {**self.own_before, **nested}

    def is_restored(self, path: str, old: Any) -> bool:
        """Return whether *path* has the value *old*, or is inherited again as it was."""
        own = value_at(self.own_now, path)
        inherits = "." in path and own is MISSING and self.was_inherited(path)
        return inherits or json_equal(own, old)

    def expectations(self, fields: Fields) -> Fields:
        """Return the current own values of *fields*; what is inherited is the parent's matter."""
        values = {path: value_at(self.now, path) for path in fields}
        return {
            path: None if value is MISSING else value
            for path, value in values.items()
            if json_equal(value, value_at(self.own_now, path))
        }

    def frozen_models(self, kind: Kind, written: Fields) -> list[str]:
        """Return the nested models, xp aside, that were inherited before the run wrote in them."""
        return [
            name
            for name in sorted(kind.models - {"xp"})
            if self.before.get(name) and not self.own_before.get(name) and self.own_now.get(name)
            if any(is_below(path, name) for path in written)
        ]


def _without_inherited(
    kind: Kind, document: Document, parent: Document | None, written: Fields
) -> Document:
    if not kind.inherits_from or not parent or not document.get(kind.inherits_from):
        return document
    own: Document = {}
    for name, value in document.items():
        field = kind.fields.get(name)
        if name == "xp" and isinstance(value, dict):
            own[name] = _without_inherited_keys(value, parent.get(name) or {}, written)
        elif name in kind.models:
            is_written = any(is_below(p, name) and v is not None for p, v in written.items())
            own[name] = value if is_written or not json_equal(value, parent.get(name)) else None
        elif field is None or field.required or not field.nullable:
            own[name] = value  # it is never null, so it has a value of its own
        elif json_equal(value, written.get(name)):
            own[name] = value
        else:
            own[name] = value if not json_equal(value, parent.get(name)) else None
    return own


def _without_inherited_keys(
    xp: Mapping[str, Any], parent: Mapping[str, Any], written: Fields
) -> dict[str, Any]:
    return {
        name: value
        for name, value in xp.items()
        if name not in parent
        or not json_equal(value, parent[name])
        or json_equal(value, written.get(join_path(("xp", name)), MISSING))
    }
