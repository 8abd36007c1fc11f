"""The step of the build that adds the man pages to a wheel."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))

from man_pages import man_pages


class ManPageHook(BuildHookInterface):
    """The hook that hatchling calls; an editable installation has no man pages."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages, and have them installed below `share/man`."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        for name, text in man_pages(Path(self.root) / "ocsync" / "guide"):
            path = Path(self._folder.name) / name
            path.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(path)] = f"share/man/man{name[-1]}/{name}"

    def finalize(self, version: str, *_: object) -> None:
        """Remove the pages again, which are in the wheel by now."""
        if version != "editable":
            self._folder.cleanup()
