"""Names of a package that are imported on first use, so that a command loads only what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def importer(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a `__getattr__` for *package*, whose *modules* name where each of its names is."""

    def import_name(name: str) -> Any:
        if name not in modules:
            raise AttributeError(name)
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return import_name
