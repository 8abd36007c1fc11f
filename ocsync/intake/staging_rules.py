"""Rules across entries: what cannot be staged together with other entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ocsync.errors import InputError, Problem
from ocsync.models import Entry
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY, ids_of

_SUM_FAULT = "is the sum of the product's records, and records of it are staged"
_RECORD_FAULT = f"cannot be staged beside its product's {SUMMED_QUANTITY}, which is their sum"


def check_against_staged(
    entries: Iterable[Entry], products: Iterable[Entry], records: Iterable[Entry]
) -> Iterator[Entry]:
    """Yield *entries* unchanged, comparing each with those before it and with staged ones.

    The latter are *products* and *records*, which may have others too; neither is iterated before
    an entry makes it necessary. Raises InputError at the end when one sets a product's stock whose
    records are staged too.
    """
    summed = _SummedProducts(products, records)
    problems: list[Problem] = []
    for entry in entries:
        summed.add(entry)
        if summed.contradict(entry):
            is_record = _kind_name(entry) in RECORD_KINDS
            field, reason = ("ref", _RECORD_FAULT) if is_record else (SUMMED_QUANTITY, _SUM_FAULT)
            problems.append(Problem.of_entry(entry.source, field, entry.ref, reason))
        yield entry
    if problems:
        raise InputError("nothing was staged", problems[:1000])


class _SummedProducts:
    """The IDs of products whose own quantity is staged, and of those whose records are.

    Those of the staged *products* and *records* are added when they are asked for first.
    """

    def __init__(self, products: Iterable[Entry], records: Iterable[Entry]) -> None:
        self._products, self._records = products, records
        self._with_quantity: set[str] = set()
        self._with_records: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Note the product whose quantity, or whose records, *entry* writes."""
        kind = _kind_name(entry)
        if kind in RECORD_KINDS:
            self._with_records.add(_product_of(entry))
        elif kind == "product" and SUMMED_QUANTITY in entry.fields:
            self._with_quantity.add(_product_of(entry))

    def contradict(self, entry: Entry) -> bool:
        """Return whether *entry* is of a product that has both staged."""
        kind = _kind_name(entry)
        if kind != "product" and kind not in RECORD_KINDS:
            return False
        return self._has_quantity(entry) and self._has_records(entry)

    def _has_quantity(self, entry: Entry) -> bool:
        if _kind_name(entry) == "product" and SUMMED_QUANTITY in entry.fields:
            return True
        for staged in self._products:
            self.add(staged)
        self._products = ()
        return _product_of(entry) in self._with_quantity

    def _has_records(self, entry: Entry) -> bool:
        if _kind_name(entry) in RECORD_KINDS:
            return True
        for staged in self._records:
            self.add(staged)
        self._records = ()
        return _product_of(entry) in self._with_records


def _kind_name(entry: Entry) -> str:
    """Return the name of the kind of *entry*."""
    return entry.ref.partition("/")[0]


def _product_of(entry: Entry) -> str:
    """Return the ID of the product that *entry* is about, as a key."""
    return ids_of(entry.ref)["ProductID"].casefold()
