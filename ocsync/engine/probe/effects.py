"""Effects of the probe's answers on plans and waits. Without an answer each is cautious."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ocsync.engine.probe.answers import Answer
from ocsync.schema import KINDS

USUAL_SETTLE_SECONDS = 30.0
"""The seconds in which a read may be outdated where none was measured."""
_MARGIN = 3.0
"""The longest wait as a multiple of a measured one: under load a marketplace takes longer."""
_LAGS = ("product-list-lag", "product-get-lag")
_STOCK = ("inventory", "variant-inventory")
_PRODUCTS = "products"


def settle_seconds(answers: Mapping[str, Answer]) -> float:
    """Return the seconds to wait for a write to become visible, at least the usual ones."""
    return max(USUAL_SETTLE_SECONDS, *(_MARGIN * _number(answers, name) for name in _LAGS))


def reference_seconds(answers: Mapping[str, Answer]) -> float:
    """Return the seconds in which a write may be refused because what it refers to is new; 0 where
    that is not known.
    """
    return _MARGIN * _number(answers, "reference-lag")


def xp_objects_merge(answers: Mapping[str, Answer]) -> bool | None:
    """Return whether a PATCH keeps the keys that an xp object leaves out; None if not known."""
    return _choice(answers, "nested-xp", yes="merge", no="replace")


def products_resent(answers: Mapping[str, Answer], kinds: Iterable[str]) -> bool | None:
    """Return whether writes of *kinds* also resend products; None if not known."""
    feeds = [kind for kind in kinds if _PRODUCTS in KINDS[kind].indirect_targets]
    by_stock = _choice(answers, "inventory-feeds", yes="products", no="nothing")
    by_others = _choice(answers, "product-resync", yes="touched", no="own")
    known = {by_stock if kind in _STOCK else by_others for kind in feeds}
    return True if True in known else None if None in known else False


def _number(answers: Mapping[str, Answer], name: str) -> float:
    value = answers[name].value if name in answers else 0.0
    return 0.0 if isinstance(value, str) else float(value)


def _choice(answers: Mapping[str, Answer], name: str, *, yes: str, no: str) -> bool | None:
    value = answers[name].value if name in answers else ""
    return True if value == yes else False if value == no else None
