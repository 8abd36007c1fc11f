"""The options that select what is read of a marketplace, and the requests that they make."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ocsync.cli.options import parse_moment
from ocsync.errors import FileMissing, UsageError

if TYPE_CHECKING:
    from ocsync.engine.export.selection import ExportRequest

Catalog = Annotated[str, typer.Option("--catalog", metavar="C", help="Only this catalog.")]
Category = Annotated[str, typer.Option("--category", metavar="C/CAT", help="Only this category.")]
Buyer = Annotated[str, typer.Option("--buyer", metavar="B", help="Only this buyer.")]
Supplier = Annotated[str, typer.Option("--supplier", metavar="S", help="Only this supplier.")]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="FIELD=EXPRESSION",
        help="Only entities that match a filter of OrderCloud.",
    ),
]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=0, help="Maximum rows of a kind (0 = all).")
]


_PLACES = ("catalog", "category", "buyer", "supplier")


class Selection(NamedTuple):
    """The options that narrow what is read of each kind; *ids* is a file of refs."""

    catalog: str = ""
    category: str = ""
    buyer: str = ""
    supplier: str = ""
    filters: Sequence[str] = ()
    since: str = ""
    ids: str = ""
    limit: int = 0


def read_kinds_and_refs(words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the kinds and the refs among *words*, and the other words. Raises UsageError."""
    from ocsync.schema import KINDS, read_ref

    kinds = list(dict.fromkeys(word for word in words if word in KINDS))
    refs = [word for word in words if "/" in word and word.partition("/")[0] in KINDS]
    for ref in refs:
        read_ref(ref)
    return kinds, refs, [word for word in words if word not in kinds and word not in refs]


def make_requests(
    kinds: Sequence[str], refs: Sequence[str], selection: Selection
) -> list[ExportRequest]:
    """Return a request for each kind. Raises UsageError where the platform has no list for it."""
    from ocsync.engine.export.selection import ExportRequest, read_category, source_of
    from ocsync.schema import KINDS, distinct_refs

    ids, since, filters = selection.ids, selection.since, selection.filters
    named = [*refs, *(_read_ids(ids, kinds) if ids else ())]
    places = {name: getattr(selection, name) for name in _PLACES}
    narrowed = [f"--{name}" for name, value in places.items() if value]
    narrowed += ["--since"] * bool(since) + ["--filter"] * bool(filters)
    if named and narrowed:
        raise UsageError(f"{' and '.join(narrowed)} cannot be combined with refs")
    if ids and not named:
        raise UsageError(f"{ids} has no refs")
    if selection.category:
        read_category(selection.category)
    conditions = dict(_read_filter(text) for text in filters)
    names = dict.fromkeys([*kinds, *(ref.partition("/")[0] for ref in named)])
    requests = []
    for name in names:
        own = tuple(distinct_refs(ref for ref in named if ref.partition("/")[0] == name))
        if named and not own:
            raise UsageError(f"no ref of kind {name} given")
        moment = parse_moment(since) if since else None
        requests.append(
            ExportRequest(
                KINDS[name], **places, since=moment, filters=conditions, refs=own,
                limit=selection.limit,
            )
        )  # fmt: skip
    for request in requests:
        source_of(request)
    return requests


def _read_filter(text: str) -> tuple[str, str]:
    field, equals, expression = text.partition("=")
    if not (field and equals and expression):
        raise UsageError(
            f'--filter: "{text}" is not FIELD=EXPRESSION', hint="--filter Active=false"
        )
    return field, expression


def _read_ids(file: str, kinds: Sequence[str]) -> list[str]:
    """Return the refs in *file*; where one kind is named, also those given by their IDs alone."""
    from ocsync.intake.ref_list import read_ref_column

    prefix = f"{kinds[0]}/" if len(kinds) == 1 else ""
    if file == "-":
        return read_ref_column(sys.stdin, "standard input", prefix=prefix)
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise FileMissing(f"{file}: {reason}") from error
    return read_ref_column(lines, file, prefix=prefix)
