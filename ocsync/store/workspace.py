"""The workspace: its place, and its profiles.

`--workspace`, else `OCSYNC_WORKSPACE` (the `.ocsync` folder itself), else the nearest `.ocsync`
upwards that the current user owns, else the user's data folder.

A workspace that was found upwards may have come with a cloned repository. The user's data folder
records the profiles that this user added or trusted; while the profile used is not among them, the
workspace must have no links and no files of others, and the profile may not sign in.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocsync.characters import escape_undecodable
from ocsync.errors import ConfigError, TrustRequired, UsageError
from ocsync.store import files
from ocsync.store.log import Warn
from ocsync.store.profile_dir import (
    ProfileDir,
    drop_nulls,
    encode_toml,
    read_toml,
    write_toml,
)
from ocsync.suggestions import listed, suggestion

if TYPE_CHECKING:
    from ocsync.store.profiles import Profile
    from ocsync.store.sent_record import SentRecord

ADD_PROFILE = "ocsync profile add NAME --environment useast-sandbox --client-id ID --secret-env VAR"
"""The command that adds a profile without a question; `ocsync login` asks."""
FOLDER = ".ocsync"
FORMAT = 1
_NAME_HINT = "use only letters, digits, - and _"
_LONGEST_NAME = 100
_RESERVED_NAMES = {
    "con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}  # fmt: skip
"""Names that Windows keeps for devices: no folder there can have them."""
_DATA_DIR_HINT = "set OCSYNC_DATA_DIR to a writable folder, then run the same command again"


class Workspace:
    """Workspace at *root*, which need not exist yet.

    *is_found* says that nobody named it: it is the nearest one upwards. *passed_over* are nearer
    ones that belong to other users. *environ* says where the user's data folder is.
    """

    def __init__(
        self,
        root: Path,
        *,
        is_found: bool = False,
        passed_over: Sequence[Path] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.root = files.real_path(root.absolute().parent) / root.absolute().name
        self.is_found = is_found
        self.passed_over = tuple(passed_over)
        self._environ = os.environ if environ is None else environ

    @classmethod
    def find(
        cls, explicit: Path | None = None, *, environ: Mapping[str, str], cwd: Path | None
    ) -> Workspace:
        """Return the workspace to use; the module's docstring has the order.

        *cwd* is None for a folder that was removed. Raises ConfigError if nothing else is named.
        """
        named = explicit or (Path(p) if (p := environ.get("OCSYNC_WORKSPACE", "")) else None)
        if named:
            return cls(files.real_path(named.expanduser()), environ=environ)
        if cwd is None:
            raise ConfigError(
                "the current folder was removed",
                hint="cd to an existing folder, or give --workspace",
            )
        passed_over: list[Path] = []
        for folder in (cwd, *cwd.parents):
            path = folder / FOLDER
            if path.is_symlink() or path.is_dir():
                if _is_own(path):
                    return cls(path, is_found=True, passed_over=passed_over, environ=environ)
                passed_over.append(path)
        own = files.real_path(user_data_folder(environ) / "workspace")
        return cls(own, passed_over=passed_over, environ=environ)

    @property
    def exists(self) -> bool:
        """True when the workspace has been made."""
        return (self.root / "workspace.toml").is_file()

    def create(self) -> None:
        """Make it if it does not exist. Raises ConfigError when its format is a newer one."""
        self.check_format()
        if not self.exists:
            files.make_folder(self.root)
            files.write_atomically(self.root / ".gitignore", b"*\n")
            write_toml(self.root / "workspace.toml", {"format": FORMAT, "id": _new_id()})

    def sent_record(self, profile: str) -> SentRecord:
        """Return the record of what the runs of *profile* sent, which is kept outside of it."""
        from ocsync.store.sent_record import SentRecord, record_path

        folder = files.real_path(user_data_folder(self._environ))

        def find_path() -> Path | None:
            return record_path(folder, self._settings().get("id"), profile)

        def make_path() -> Path | None:
            if find_path() is None and self.exists:
                settings = {**self._settings(), "id": _new_id()}
                write_toml(self.root / "workspace.toml", settings)
            return find_path()

        return SentRecord(find_path, make_path)

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
        folders = files.list_folder(self.root / "profiles")
        return [path.name for path in folders if os.path.lexists(path / "profile.toml")]

    def open_profile(
        self, name: str, *, warn: Warn, command: str = "", lock_seconds: float = 0.0
    ) -> ProfileDir:
        """Return the folder of profile *name*, else of the current one. Raises ConfigError."""
        self.check_format()
        path = self._profile_path(name or self.current_profile)
        if self.is_found and not self.is_recorded(path):
            self._check_files()
        return ProfileDir(
            path,
            warn=warn,
            command=command,
            lock_seconds=lock_seconds,
            open_record=partial(self.sent_record, path.name),
        )

    def add_profile(self, profile: Profile) -> None:
        """Write a new profile and trust it; the first one becomes current.

        Raises UsageError for a name that is invalid or taken.
        """
        self._check_name(profile.name)
        self.write_profile(profile)
        if not self.current_profile:
            self.use_profile(profile.name)

    def write_profile(self, profile: Profile) -> None:
        """Write the file of a profile, new or not, and trust it. Raises ConfigError."""
        import msgspec

        from ocsync.store.profiles import trust_risk

        path = self.root / "profiles" / profile.name
        content = encode_toml(drop_nulls(msgspec.to_builtins(profile)))
        if trust_risk(profile):
            self._record(path, content)  # first: without it the profile could not be used
        self.create()
        files.make_folder(path)
        files.write_atomically(path / "profile.toml", content)
        if not trust_risk(profile):
            with suppress(ConfigError):
                self._record(path, content)

    def rename_profile(self, name: str, new: str) -> None:
        """Give profile *name* the name *new*, with all its files.

        Its trust and its record of sent entries, outside of the workspace, follow. Raises
        UsageError for a name that is invalid or taken, ConfigError when there is no such profile.
        """
        import msgspec

        from ocsync.store.sent_record import record_path

        self._check_name(new)
        old_path = self._profile_path(name)
        profile = self.open_profile(name, warn=lambda _: None).profile
        trusted = self.is_recorded(old_path) and not self.untrusted_reason(old_path, profile)
        path = files.rename_folder(old_path, new)
        folder, key = files.real_path(user_data_folder(self._environ)), self._settings().get("id")
        old_record, record = record_path(folder, key, name), record_path(folder, key, new)
        if old_record and record and old_record.is_file():
            old_record.replace(record)
        if self.current_profile == name:
            self.use_profile(new)
        renamed = msgspec.structs.replace(profile, name=new)
        if trusted:
            self.write_profile(renamed)
        else:  # a new name makes no trust
            content = encode_toml(drop_nulls(msgspec.to_builtins(renamed)))
            files.write_atomically(path / "profile.toml", content)

    def _check_name(self, name: str) -> None:
        import unicodedata

        shown = json.dumps(name, ensure_ascii=False)
        if not name.replace("-", "").replace("_", "").isalnum() or name.startswith("-"):
            raise UsageError(f"{shown} is not a valid profile name", hint=_NAME_HINT)
        if name.casefold() in _RESERVED_NAMES or unicodedata.normalize("NFKC", name) != name:
            text = f"{shown} is not a valid folder name on every system"
            raise UsageError(text, hint=_NAME_HINT)
        if len(name.encode()) > _LONGEST_NAME:
            raise UsageError(
                f"a profile name can have at most {_LONGEST_NAME} bytes", hint=_NAME_HINT
            )
        same = next((n for n in self.profile_names() if n.casefold() == name.casefold()), None)
        if same is not None:
            raise UsageError(
                f"profile {same} exists already",
                hint=f"ocsync profile remove {same}, or choose another name",
            )

    def remove_profile(self, name: str) -> None:
        """Delete a profile's folder with its journal and runs."""
        path = self._profile_path(name)
        files.remove_folder(path)
        if self.current_profile == name:
            rest = {k: v for k, v in self._settings().items() if k != "profile"}
            write_toml(self.root / "workspace.toml", rest)

    def _profile_path(self, name: str) -> Path:
        if not name:
            if names := self.profile_names():
                text = f"no profile of workspace {self.root} is current"
                raise ConfigError(text, hint=f"ocsync profile use {names[0]}")
            text = f"no profile in workspace {self.root}"
            raise ConfigError(text, hint=f"ocsync login, {ADD_PROFILE}")
        if name not in self.profile_names():
            names = self.profile_names()
            hint = suggestion(
                name, names, f"profiles in this workspace: {listed(names, 'ocsync profile list')}"
            )
            raise ConfigError(f"no profile {name}", hint=hint)
        return self.root / "profiles" / name

    def _settings(self) -> dict[str, Any]:
        return read_toml(self.root / "workspace.toml")

    def check_format(self) -> None:
        """Raise ConfigError when the format is a newer one, Damaged when the file is no TOML."""
        version = self._settings().get("format", FORMAT)
        if type(version) is not int or not 1 <= version <= FORMAT:
            raise ConfigError(
                f"workspace {self.root} has format {version}; this ocsync supports up to {FORMAT}",
                hint="install the newest ocsync, or use another --workspace",
            )

    def is_recorded(self, path: Path) -> bool:
        """Return whether this user once added or trusted the profile in *path*."""
        try:
            return _record_key(path) in self._read_record()
        except ConfigError:
            return False

    def trust(self, path: Path) -> None:
        """Trust the profile in *path* with its file's present content. Raises ConfigError."""
        self._record(path, files.read_bytes(path / "profile.toml"))

    def untrusted_reason(self, path: Path, profile: Profile) -> str:
        """Return why *profile* in *path* must be trusted by hand before it signs in; empty if not.

        Trust holds for one path and one content. Raises Damaged.
        """
        from ocsync.store.profiles import trust_risk

        risk = trust_risk(profile)
        if not (risk or self.is_found):
            return ""
        recorded = self._read_record().get(_record_key(path))
        if recorded == _fingerprint(files.read_bytes(path / "profile.toml")):
            return ""
        return risk or ("" if recorded else "it came with this folder and was not added by you")

    def check_trust(self, path: Path, profile: Profile) -> None:
        """Raise TrustRequired when *profile* in *path* must be trusted by hand first."""
        if reason := self.untrusted_reason(path, profile):
            raise TrustRequired(
                f"profile {profile.name} is not trusted: {reason}",
                hint=f"review {path / 'profile.toml'}, then: ocsync profile trust {profile.name}",
            )

    @property
    def _record_path(self) -> Path:
        return files.real_path(user_data_folder(self._environ)) / "trusted.toml"

    def _read_record(self) -> dict[str, Any]:
        try:
            return read_toml(self._record_path)
        except OSError:  # a home that cannot be read holds no trust
            return {}

    def _record(self, path: Path, content: bytes) -> None:
        """Record *path* as a profile of this user, with this content of its file."""
        record = self._record_path
        try:
            write_toml(record, {**read_toml(record), _record_key(path): _fingerprint(content)})
        except OSError as error:
            text = f"{error.filename or record}: {error.strerror}; it records trusted profiles"
            raise ConfigError(text, hint=_DATA_DIR_HINT) from error

    def _check_files(self) -> None:
        """Raise ConfigError when a file of the workspace could lead out of it, or is another's."""
        for path, reason in files.find_unsafe(self.root):
            raise ConfigError(
                f"{path} {reason}, and you did not create this workspace",
                hint=f"ls -la {path.parent}; or use another --workspace",
            )


def _is_own(path: Path) -> bool:
    return not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid()


def _new_id() -> str:
    import uuid

    return uuid.uuid4().hex


def user_data_folder(environ: Mapping[str, str]) -> Path:
    """Return the user's own folder, outside workspaces: trust, sent entries, error reports."""
    named = environ.get("OCSYNC_DATA_DIR", "")
    if named:
        return Path(named)
    if folder := _xdg_data_folder(environ):
        return folder
    from platformdirs import user_data_path

    return user_data_path("ocsync", appauthor=False)


def _xdg_data_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder that platformdirs names on Linux; None where its rules are needed.

    Importing platformdirs takes as long as a short command does.
    """
    if sys.platform != "linux" or "ANDROID_DATA" in environ:
        return None
    named, home = environ.get("XDG_DATA_HOME", ""), environ.get("HOME", "")
    if not (named or home).startswith("/") or named != named.strip():
        return None
    return (Path(named) if named else Path(home, ".local/share")) / "ocsync"


def _record_key(path: Path) -> str:
    return escape_undecodable(str(path))


def _fingerprint(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
