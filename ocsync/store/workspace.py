"""The workspace: its place, and its profiles.

`--workspace`, else `OCSYNC_WORKSPACE` (the `.ocsync` folder itself), else the nearest `.ocsync`
upwards that the current user owns, else the user's data folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocsync.characters import escape_undecodable
from ocsync.errors import ConfigError, TrustRequired, UsageError
from ocsync.store import files
from ocsync.store.log import Warn
from ocsync.store.profile_dir import ProfileDir, drop_nulls, read_toml, write_toml

if TYPE_CHECKING:
    from ocsync.store.profiles import Profile

FOLDER = ".ocsync"
FORMAT = 1
_NAME_HINT = "a profile's name has letters, digits, - and _ only"


class Workspace:
    """Workspace at *root*, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def find(
        cls, explicit: Path | None = None, *, environ: Mapping[str, str], cwd: Path
    ) -> Workspace:
        """Return the workspace to use; the module's docstring has the order."""
        named = explicit or (Path(p) if (p := environ.get("OCSYNC_WORKSPACE", "")) else None)
        if named:
            return cls(named.expanduser().absolute())
        for folder in (cwd, *cwd.parents):
            if (folder / FOLDER).is_dir() and _is_own(folder / FOLDER):
                return cls(folder / FOLDER)
        return cls(user_data_folder(environ) / "workspace")

    @property
    def exists(self) -> bool:
        """Whether the workspace has been made."""
        return (self.root / "workspace.toml").is_file()

    def create(self) -> None:
        """Make it if it does not exist. Raises ConfigError when its format is a newer one."""
        self.check_format()
        if not self.exists:
            files.make_folder(self.root)
            files.write_atomically(self.root / ".gitignore", b"*\n")
            write_toml(self.root / "workspace.toml", {"format": FORMAT})

    @property
    def current_profile(self) -> str:
        """Name of the current profile; empty when there is none."""
        return str(self._settings().get("profile", ""))

    def use_profile(self, name: str) -> None:
        """Make *name* the current profile. Raises ConfigError when there is no such profile."""
        self._profile_path(name)
        write_toml(self.root / "workspace.toml", {**self._settings(), "profile": name})

    def profile_names(self) -> list[str]:
        """Return the names of the profiles, sorted."""
        return sorted(path.parent.name for path in self.root.glob("profiles/*/profile.toml"))

    def open_profile(
        self, name: str, *, warn: Warn, command: str = "", lock_seconds: float = 0.0
    ) -> ProfileDir:
        """Return the folder of profile *name*, else of the current one. Raises ConfigError."""
        self.check_format()
        path = self._profile_path(name or self.current_profile)
        return ProfileDir(path, warn=warn, command=command, lock_seconds=lock_seconds)

    def add_profile(self, profile: Profile) -> None:
        """Write a new profile and trust it; the first one becomes current.

        Raises UsageError for a name that is invalid or taken.
        """
        import msgspec

        if not profile.name.replace("-", "").replace("_", "").isalnum():
            raise UsageError(f'"{profile.name}" cannot be a profile\'s name', hint=_NAME_HINT)
        if profile.name in self.profile_names():
            raise UsageError(
                f"there is a profile {profile.name} already",
                hint=f"ocsync profile remove {profile.name}, or choose another name",
            )
        self.create()
        path = self.root / "profiles" / profile.name
        files.make_folder(path)
        write_toml(path / "profile.toml", drop_nulls(msgspec.to_builtins(profile)))
        trust_profile(path, os.environ)
        if not self.current_profile:
            self.use_profile(profile.name)

    def remove_profile(self, name: str) -> None:
        """Delete a profile's folder with its journal and runs."""
        path = self._profile_path(name)
        shutil.rmtree(path)
        if self.current_profile == name:
            rest = {k: v for k, v in self._settings().items() if k != "profile"}
            write_toml(self.root / "workspace.toml", rest)

    def _profile_path(self, name: str) -> Path:
        if not name:
            raise ConfigError(
                f"no profile in workspace {self.root}",
                hint="ocsync profile add NAME --environment useast-sandbox --client-id ID "
                "--secret-env VAR",
            )
        if name not in self.profile_names():
            known = ", ".join(self.profile_names()) or "none"
            raise ConfigError(f"there is no profile {name}", hint=f"profiles here: {known}")
        return self.root / "profiles" / name

    def _settings(self) -> dict[str, Any]:
        return read_toml(self.root / "workspace.toml")

    def check_format(self) -> None:
        """Raise ConfigError when the format is a newer one, Damaged when the file is no TOML."""
        version = self._settings().get("format", FORMAT)
        if not isinstance(version, int) or not 1 <= version <= FORMAT:
            raise ConfigError(
                f"workspace {self.root} has format {version}, this ocsync knows up to {FORMAT}",
                hint="install the newest ocsync, or name another folder with --workspace",
            )


def _is_own(path: Path) -> bool:
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def user_data_folder(environ: Mapping[str, str]) -> Path:
    """Return the user's own folder, outside workspaces: trust, reports of unexpected errors."""
    named = environ.get("OCSYNC_DATA_DIR", "")
    if named:
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("ocsync", appauthor=False)


def _fingerprint(path: Path) -> str:
    return hashlib.sha256((path / "profile.toml").read_bytes()).hexdigest()


def _trusted_name(path: Path) -> str:
    return escape_undecodable(str(path.resolve()))


def trust_profile(path: Path, environ: Mapping[str, str]) -> None:
    """Trust the profile in *path* with its file's present content."""
    book = user_data_folder(environ) / "trusted.toml"
    write_toml(book, {**read_toml(book), _trusted_name(path): _fingerprint(path)})


def check_trust(path: Path, profile: Profile, environ: Mapping[str, str]) -> None:
    """Raise TrustRequired when the profile could do harm and its content is not trusted."""
    from ocsync.store.profiles import trust_risk

    risk = trust_risk(profile)
    trusted = read_toml(user_data_folder(environ) / "trusted.toml") if risk else {}
    if risk and trusted.get(_trusted_name(path)) != _fingerprint(path):
        raise TrustRequired(
            f"profile {profile.name} is not trusted: {risk}",
            hint=f"look at {path / 'profile.toml'}, then: ocsync profile trust {profile.name}",
        )
