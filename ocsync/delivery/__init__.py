"""Listeners for delivery targets, signatures, and matching of messages to writes."""

from __future__ import annotations
