"""What arrives at a delivery target: the receiver, signatures, and matching messages to writes."""

from __future__ import annotations
