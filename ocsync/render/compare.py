"""A comparison of two marketplaces: the counts of each kind, and what differs field by field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ocsync.render.text import (
    LINE_LIMIT,
    Line,
    columns,
    count,
    field_value_text,
    first_few,
)

if TYPE_CHECKING:
    from ocsync.engine.compare.comparison import Comparison
    from ocsync.engine.compare.differences import Difference
    from ocsync.engine.export.selection import ExportRequest
    from ocsync.schema import Kind

_SIGNS = {"both": "~", "source": "+", "target": "-"}
_VALUE_WIDTH = 40


def lines(comparison: Comparison, *, every: bool) -> Iterator[Line]:
    """Yield the counts by kind, and the first differences; with *every* all of them."""
    source, target = comparison.source, comparison.target
    rows: list[Sequence[object]] = [
        ("kind", "same", "differs", f"only in {source}", f"only in {target}")
    ]
    rows += [(one.kind.name, one.same, one.both, one.source, one.target)
             for one in comparison.counts]  # fmt: skip
    for line in columns(rows, "<>>>>", gap=3):
        yield "", "  " + line
    if comparison.differing:
        yield "", ""
        yield "", f"  the values of {target} -> those of {source}:"
        yield from _difference_lines(comparison, every=every)


def _difference_lines(comparison: Comparison, *, every: bool) -> Iterator[Line]:
    only = {"source": f"only in {comparison.source}", "target": f"only in {comparison.target}"}
    shown = None if every else LINE_LIMIT
    for difference in islice(comparison.differences(), shown):
        remark = only.get(difference.presence.value, "")
        yield _SIGNS[difference.presence.value], f"  {difference.ref}  {remark}".rstrip()
        for path, pair in difference.fields.items():
            before, after = (
                field_value_text(path, pair[side], _VALUE_WIDTH) for side in ("target", "source")
            )
            yield "", f"      {path}  {before} -> {after}"
    if shown and comparison.differing > shown:
        yield "", f"    ... and {comparison.differing - shown:,} more (--list)"


def left_out_lines(left_out: Sequence[str], ignored: Sequence[str]) -> Iterator[str]:
    """Yield the fields that were not compared."""
    for title, paths in (("not compared", left_out), ("ignored", ignored)):
        if paths:
            yield f"  {title}: {', '.join(paths)}"


def warnings(comparison: Comparison, requests: Sequence[ExportRequest]) -> Iterator[str]:
    """Yield what may be wrong with the comparison."""
    for request in requests:
        if request.kind.eventually_consistent and not request.refs:
            yield (
                f"{request.kind.noun}: lists come from the search index, so values may be "
                "outdated; give refs to read them one by one"
            )
    if comparison.absent:
        verb = "exists" if len(comparison.absent) == 1 else "exist"
        yield f"{first_few(comparison.absent)} {verb} in neither marketplace"


def not_creatable_lines(differences: Sequence[Difference]) -> Iterator[Line]:
    """Yield the refs that cannot be created, by reason."""
    reasons: dict[str, list[str]] = {}
    for one in differences:
        reasons.setdefault(one.reason, []).append(one.ref)
    for reason, refs in reasons.items():
        text = f"{count(len(refs), 'ref')} not staged: {reason}"
        yield "✗", f"{text}: {first_few(refs)}"


def closing_line(comparison: Comparison) -> Line:
    """Return the last line of the comparison: how many refs differ."""
    total = comparison.same + comparison.differing
    if not total:
        return "=", "nothing to compare: neither marketplace has any of these"
    if not comparison.differing:
        text = "the only ref is" if total == 1 else f"all {total:,} refs are"
        return "=", f"{text} the same in {comparison.source} and {comparison.target}"
    verb = "differs" if comparison.differing == 1 else "differ"
    return "~", f"{comparison.differing:,} of {count(total, 'ref')} {verb}"


def document(
    comparison: Comparison, left_out: dict[str, list[str]], ignored: Sequence[str], *, every: bool
) -> dict[str, Any]:
    """Return the comparison as JSON data; with *every* all differences, else the first."""
    shown = islice(comparison.differences(), None if every else LINE_LIMIT)
    return {
        "source": comparison.source,
        "target": comparison.target,
        "kinds": [
            {
                "kind": one.kind.name,
                "same": one.same,
                "differs": one.both,
                "only_source": one.source,
                "only_target": one.target,
                "not_compared": left_out[one.kind.name],
            }
            for one in comparison.counts
        ],
        "ignored": list(ignored),
        "absent": comparison.absent,
        "differing": comparison.differing,
        "differences": [_difference_document(one) for one in shown],
    }


def _difference_document(difference: Difference) -> dict[str, Any]:
    return {
        "ref": difference.ref,
        "presence": difference.presence.value,
        "fields": difference.fields,
    }


def left_out_by_kind(kinds: Sequence[Kind]) -> dict[str, list[str]]:
    """Return the fields of each kind that are not compared."""
    from ocsync.engine.compare.differences import left_out_fields

    return {kind.name: left_out_fields(kind) for kind in kinds}
