"""Everything that a command loads, for the server that its processes are forked from."""

from __future__ import annotations

import gc
import pkgutil
from importlib import import_module

import ocsync
from ocsync.cli.app import tree

_RARE = ("ocsync.__main__", "ocsync.emulator", "ocsync.cli.demo")
_MODULES = [module.name for module in pkgutil.walk_packages(ocsync.__path__, "ocsync.")]

for _name in (
    "concurrent.futures.thread", "encodings.idna", "filelock", "tests.crash_points",
    *(name for name in _MODULES if not name.startswith(_RARE)),
):  # fmt: skip
    import_module(_name)
list(tree().commands.values())
gc.freeze()  # the first collection in a process would copy every page
