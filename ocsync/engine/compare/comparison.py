"""The comparison of two marketplaces, kind by kind; its differences are in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from ocsync.engine.compare.differences import Difference, Presence, Side, difference_of
from ocsync.engine.compare.joining import join
from ocsync.engine.compare.marketplace import Marketplace
from ocsync.engine.export.selection import ExportRequest
from ocsync.errors import InputError, Problem
from ocsync.intake.field_values import validate
from ocsync.models import Entry, Ref
from ocsync.schema import KINDS, Kind, ref_key
from ocsync.store.spill import SpillFile

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Difference).decode
_MOST_PROBLEMS = 1000


class KindCounts(msgspec.Struct):
    """The refs of a kind: *same*, different on *both* sides, only at the *source* or *target*."""

    kind: Kind
    same: int = 0
    both: int = 0
    source: int = 0
    target: int = 0

    @property
    def differing(self) -> int:
        """The number of refs that differ."""
        return self.both + self.source + self.target

    def add(self, difference: Difference | None) -> None:
        """Count a difference; None is a ref that is the same."""
        presence = difference.presence if difference else None
        self.same += presence is None
        self.both += presence is Presence.BOTH
        self.source += presence is Presence.SOURCE
        self.target += presence is Presence.TARGET


class Comparison:
    """The comparison of a *source* with a *target* profile.

    *absent* are refs that were named and exist on neither side.
    """

    def __init__(self, source: str, target: str, folder: Path) -> None:
        self.source = source
        self.target = target
        self.counts: list[KindCounts] = []
        self.absent: list[Ref] = []
        self._file = SpillFile(folder)
        self._sizes: list[int] = []

    @property
    def differing(self) -> int:
        """The number of refs that differ."""
        return sum(one.differing for one in self.counts)

    @property
    def same(self) -> int:
        """The number of refs that are the same."""
        return sum(one.same for one in self.counts)

    def differences(self) -> Iterator[Difference]:
        """Yield the differences, by kind and then by ref."""
        offset = 0
        for size in self._sizes:
            yield _decode(self._file.read(offset, size))
            offset += size

    def add(self, difference: Difference) -> None:
        """Append a difference."""
        line = _encode(difference)
        self._file.append(line)
        self._sizes.append(len(line))

    def only_target(self) -> Iterator[Ref]:
        """Yield the refs that only the target has."""
        return (one.ref for one in self.differences() if one.presence is Presence.TARGET)

    def not_creatable(self) -> Iterator[Difference]:
        """Yield the refs that only the source has, and that no entry can create."""
        return (one for one in self.differences() if one.reason)

    def entries(self) -> Iterator[Entry]:
        """Yield the entries that give the target what differs; the source is where they come from.

        Raises InputError at the end, with every value that cannot be staged.
        """
        problems: list[Problem] = []
        number = 0
        for difference in self.differences():
            for entry in difference.entries:
                number += 1
                place = f"{self.source}:{number}"
                problems += (
                    Problem(entry.ref, 0, 0, *fault)
                    for fault in validate(entry)
                    if len(problems) < _MOST_PROBLEMS
                )
                yield msgspec.structs.replace(entry, source=place)
        if problems:
            hint = "--ignore FIELD leaves a field out"
            raise InputError("nothing was staged", problems, hint=hint)


def compare(
    requests: Sequence[ExportRequest],
    source: Marketplace,
    target: Marketplace,
    ignored: Sequence[str],
    folder: Path,
) -> Comparison:
    """Return the comparison of what was read of both marketplaces."""
    comparison = Comparison(source.profile, target.profile, folder)
    not_creatable: set[str] = set()
    for request in requests:
        kind = request.kind
        counts = KindCounts(kind)
        for pair in join(partial(source.rows, kind), partial(target.rows, kind), folder):
            sides = (
                Side(side.parent_of(pair.ref, document) if document else None, side.owner)
                for side, document in ((source, pair.first), (target, pair.second))
            )
            difference = difference_of(pair, *sides, ignored=ignored, not_creatable=not_creatable)
            counts.add(difference)
            if difference:
                comparison.add(difference)
            if difference and difference.reason:
                not_creatable.add(ref_key(difference.ref))
        comparison.counts.append(counts)
        absent = {ref_key(ref) for ref in source.missing(kind)}
        comparison.absent += [ref for ref in target.missing(kind) if ref_key(ref) in absent]
    return comparison


def by_dependency(requests: Iterable[ExportRequest]) -> list[ExportRequest]:
    """Return *requests* so that an entity comes before what needs it."""
    order = list(KINDS)
    return sorted(requests, key=lambda request: order.index(request.kind.name))
