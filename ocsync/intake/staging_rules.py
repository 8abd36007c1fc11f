"""Rules across entries: what cannot be staged together with other entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ocsync.errors import InputError, Problem
from ocsync.models import Entry
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY

_SUM_FAULT = "is the sum of the product's inventory records, some of which are staged"
_RECORD_FAULT = f"cannot be staged with its product's {SUMMED_QUANTITY}, which is their sum"


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
        if summed.take(entry):
            is_record = entry.ref.partition("/")[0] in RECORD_KINDS
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
        self._of_records: dict[str, str] = {}

    def take(self, entry: Entry) -> bool:
        """Note what *entry* writes; return whether its product has both staged now."""
        product = self._note(entry)
        if not product:
            return False
        if product not in self._with_quantity:
            for staged in self._products:
                self._note(staged)
            self._products = ()
            if product not in self._with_quantity:
                return False
        if product not in self._with_records:
            for staged in self._records:
                self._note(staged)
            self._records = ()
        return product in self._with_records

    def _note(self, entry: Entry) -> str:
        """Note what *entry* writes; return the ID of its product as a key, "" if it has none."""
        above = entry.ref[: entry.ref.rfind("/")]
        if product := self._of_records.get(above):  # as nearly every line of a file
            return product
        kind, _, ids = entry.ref.partition("/")
        is_record = kind in RECORD_KINDS
        if not is_record and kind != "product":
            return ""
        product = ids.partition("/")[0].casefold()
        if is_record:
            self._with_records.add(product)
            self._of_records[above] = product
        elif SUMMED_QUANTITY in entry.fields:
            self._with_quantity.add(product)
        return product
