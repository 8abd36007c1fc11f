"""How an emulator behaves: its address, its pace, and what OrderCloud leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Options:
    """An emulator's options; every unknown of the platform is a switch with both behaviours.

    *port* 0 takes a free one. *latency* and *product_lag* are seconds, *token_lifetime* whole ones.
    """

    port: int = 0
    seed: Path | None = None
    latency: float = 0.0
    token_lifetime: int = 36000
    product_lag: float = 0.0
    while_paused: Literal["queue", "drop"] = "queue"
    no_op: Literal["deliver", "silent"] = "deliver"
    missing_config: Literal["404", "empty"] = "404"
    nested_xp: Literal["replace", "merge"] = "replace"
    omitted: Literal["false", "unchanged"] = "false"
    sync_while_paused: Literal["deliver", "hold", "refuse"] = "deliver"
    pause_delay: float = 0.0
