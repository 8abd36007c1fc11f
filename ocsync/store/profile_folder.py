"""One profile's folder: `profile.toml`, `pause.toml`, the pin, the journal, the runs, the locks."""

from __future__ import annotations

import tomllib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from ocsync.errors import Damaged, UsageError
from ocsync.store import files, lock
from ocsync.store.log import Warn
from ocsync.store.stamp import read_stamp

if TYPE_CHECKING:
    from ocsync.pause import Pause
    from ocsync.store.deliveries import Deliveries
    from ocsync.store.journal import Journal
    from ocsync.store.profiles import Profile
    from ocsync.store.runs import Runs

from typing import NamedTuple

JOURNAL_SECONDS = 30.0
"""How long to wait for the journal: its holders are quick."""


class Pin(NamedTuple):
    """The marketplace that the first sign-in was for."""

    id: str
    name: str


class ProfileFolder:
    """Everything of one profile on disk. *warn* hears of torn last lines."""

    def __init__(self, path: Path, *, warn: Warn, command: str, lock_seconds: float = 0.0) -> None:
        self.path = path
        self.command = command
        self._warn = warn
        self._lock_seconds = lock_seconds

    @property
    def profile(self) -> Profile:
        """The profile as its file has it. Raises Damaged for a file that is none."""
        import msgspec

        from ocsync.store.profiles import Profile, read_url

        path = self.path / "profile.toml"
        try:
            profile = msgspec.convert(read_toml(path), Profile)
            for url in (profile.api_url, profile.auth_url):
                read_url(url, profile.plain_http)
        except (msgspec.ValidationError, UsageError) as error:
            raise Damaged(str(path), 1, f"not a profile: {error}") from error
        return profile

    def unknown_keys(self) -> list[str]:
        """What `profile.toml` says that means nothing to this ocsync. Raises Damaged."""
        from ocsync.store.profiles import Profile, SecretSource

        content = read_toml(self.path / "profile.toml")
        secret = content.get("secret")
        inner = secret if isinstance(secret, dict) else {}
        return [
            *(name for name in content if name not in Profile.__struct_fields__),
            *(f"secret.{n}" for n in inner if n not in SecretSource.__struct_fields__),
        ]

    @property
    def journal(self) -> Journal:
        """What is staged."""
        from ocsync.store.journal import Journal

        return Journal(self.path / "journal", self.journal_lock, self._warn)

    @property
    def runs(self) -> Runs:
        """What was resumed."""
        from ocsync.store.runs import Runs

        return Runs(self.path / "runs", self._warn)

    @property
    def deliveries(self) -> Deliveries:
        """What arrived at a listener."""
        from ocsync.store.deliveries import Deliveries

        return Deliveries(self.path / "delivery.jsonl", self._warn)

    def listen_lock(self) -> AbstractContextManager[None]:
        """The lock of the one listener. Raises Locked."""
        return lock.hold(self.path / "listen.lock", what=self.command, timeout=self._lock_seconds)

    def run_lock(self) -> AbstractContextManager[None]:
        """The lock of everything that writes to the marketplace. Raises Locked."""
        path = self.path / "run.lock"
        return lock.hold(path, what=self.command, timeout=self._lock_seconds)

    def journal_lock(self) -> AbstractContextManager[None]:
        """The lock of an append or a seal. Raises Locked."""
        return lock.hold(self.path / "journal.lock", what=self.command, timeout=JOURNAL_SECONDS)

    def pin(self) -> Pin | None:
        """The marketplace pinned at the first sign-in."""
        found = read_toml(self.path / "marketplace.toml")
        return Pin(str(found.get("id", "")), str(found.get("name", ""))) if found else None

    def write_pin(self, pin: Pin) -> None:
        """Pin the marketplace."""
        write_toml(self.path / "marketplace.toml", pin._asdict())

    def raw_pauses(self) -> dict[str, dict[str, Any]]:
        """`pause.toml` as it stands: target -> what is remembered of its pause. Raises Damaged."""
        path = self.path / "pause.toml"
        pauses = read_toml(path)
        try:
            for facts in pauses.values():
                for stamp in filter(None, (facts["since"], facts.get("until"))):
                    read_stamp(stamp)
        except KeyError as error:
            raise Damaged(str(path), 1, "not a pause: it does not say since when") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise Damaged(str(path), 1, f"not a pause: {error}") from error
        return pauses

    def read_pauses(self) -> dict[str, Pause]:
        """The pauses of ours, by target."""
        import msgspec

        from ocsync.pause import Pause

        try:
            pauses = {
                name: msgspec.convert({"target": name, **facts}, Pause)
                for name, facts in self.raw_pauses().items()
            }
            for pause in pauses.values():
                pause.check()
            return pauses
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise Damaged(str(self.path / "pause.toml"), 1, f"not a pause: {error}") from error

    def write_pauses(self, pauses: dict[str, Pause]) -> None:
        """Replace the pauses of ours."""
        import msgspec

        facts = {name: without_null(msgspec.to_builtins(p)) for name, p in sorted(pauses.items())}
        for fact in facts.values():
            fact.pop("target", None)
        write_toml(self.path / "pause.toml", facts)


def without_null(thing: Any) -> Any:
    """*thing* without the members that are null, which TOML cannot hold."""
    if isinstance(thing, dict):
        return {name: without_null(value) for name, value in thing.items() if value is not None}
    if isinstance(thing, list):
        return [without_null(value) for value in thing if value is not None]
    return thing


def read_toml(path: Path) -> dict[str, Any]:
    """The file's content; empty when there is none. Raises Damaged when it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Damaged(str(path), getattr(error, "lineno", 1), f"not TOML: {error}") from error


def write_toml(path: Path, content: dict[str, Any]) -> None:
    """Replace the file whole."""
    files.make_folder(path.parent)
    files.replace(path, tomli_w.dumps(content).encode())
