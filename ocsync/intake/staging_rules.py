"""Rules across entries: what cannot stand beside what is staged already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ocsync.errors import InputError, Problem
from ocsync.models import Entry, Ref
from ocsync.schema import ids_of

_SUM = "Inventory.QuantityAvailable"
_RECORDS = ("inventory", "variant-inventory")
_WHY_SUM = "is the sum of the product's records, and records of it are staged"
_WHY_RECORD = (
    "cannot be staged beside its product's Inventory.QuantityAvailable, which is their sum"
)


def check_against_staged(entries: Iterable[Entry], staged: Iterable[Entry]) -> Iterator[Entry]:
    """*entries* as they are, after holding each against the others and what is *staged*.

    Raises InputError at the end when one sets a product's stock whose records are staged too, or
    when two refs differ in nothing but case (which the platform may take for the same).
    """
    spellings: dict[str, Ref] = {}
    summed: set[str] = set()
    recorded: set[str] = set()
    problems: list[Problem] = []
    for entry in staged:
        spellings.setdefault(entry.ref.casefold(), entry.ref)
        _note(entry, summed, recorded)
    for entry in entries:
        other = spellings.setdefault(entry.ref.casefold(), entry.ref)
        if other != entry.ref:
            problems.append(_problem(entry, "ref", f"differs from {other} in nothing but case"))
        _note(entry, summed, recorded)
        if entry.ref.partition("/")[0] in (*_RECORDS, "product") and _both(entry, summed, recorded):
            part = entry.ref.partition("/")[0] in _RECORDS
            why = ("ref", _WHY_RECORD) if part else (_SUM, _WHY_SUM)
            problems.append(_problem(entry, *why))
        yield entry
    if problems:
        raise InputError("nothing was staged", problems[:1000])


def _note(entry: Entry, summed: set[str], recorded: set[str]) -> None:
    kind = entry.ref.partition("/")[0]
    if kind in _RECORDS:
        recorded.add(ids_of(entry.ref)["ProductID"])
    elif kind == "product" and _SUM in entry.fields:
        summed.add(ids_of(entry.ref)["ProductID"])


def _both(entry: Entry, summed: set[str], recorded: set[str]) -> bool:
    product = ids_of(entry.ref)["ProductID"]
    return product in summed and product in recorded


def _problem(entry: Entry, field: str, why: str) -> Problem:
    where, _, line = entry.source.rpartition(":")
    return Problem(where or "argument", int(line or 0), 0, field, entry.ref, why)
