"""The documents of an entity before a run and now, with and without the values of its parent. Pure.

`own_values` states which values count as inherited.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ocsync.diff import Document, own_values
from ocsync.field_paths import MISSING, is_below, json_equal, value_at
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
            own_values(kind, before or {}, parents.before, {}),
            now,
            own_values(kind, now, parents.now, written),
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
