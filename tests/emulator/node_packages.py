"""Packages of the npm registry for tests, kept in pytest's cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from filelock import FileLock

REQUIRED = os.environ.get("OCSYNC_TEST_NODE") == "required"


def installed(
    config: pytest.Config, name: str, packages: Mapping[str, str], *, empty: tuple[str, ...] = ()
) -> Path:
    """Return the folder *name* with *packages* (name: version) in its node_modules.

    Packages in *empty* are placeholders without code that others depend on. A test that cannot
    have its packages is skipped, or fails where node is required.
    """
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        _miss("node and npm are not here, and only this test needs them")
    folder = Path(config.cache.mkdir(name))
    with FileLock(folder / ".lock"):
        if all((folder / "node_modules" / package).exists() for package in packages):
            return folder
        manifest = {"private": True, "dependencies": dict(packages), "overrides": {}}
        for package in empty:
            place = folder / "empty" / package
            place.mkdir(parents=True, exist_ok=True)
            facts = {"name": package, "version": "0.0.1"}
            (place / "package.json").write_text(json.dumps(facts))
            manifest["overrides"] = {package: f"file:{place}"}
        (folder / "package.json").write_text(json.dumps(manifest))
        command = [str(npm), "install", "--no-package-lock", "--ignore-scripts", "--silent"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=50)
        if done.returncode:
            _miss(f"npm could not install {', '.join(packages)}")
    return folder


def _miss(reason: str) -> None:
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)
