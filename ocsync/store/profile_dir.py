"""The folder of a profile: `profile.toml`, `pause.toml`, the pin, the journal, runs and locks."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocsync.characters import escape_undecodable
from ocsync.errors import ConfigError, Locked, UsageError
from ocsync.plurals import count
from ocsync.store import files, lock
from ocsync.store.damage import damaged
from ocsync.store.log import Warn
from ocsync.store.timestamps import parse_timestamp

if TYPE_CHECKING:
    from ocsync.listener_attachment import Attachment
    from ocsync.pause import Pause
    from ocsync.store.delivery_log import DeliveryLog
    from ocsync.store.journal import Journal
    from ocsync.store.pause_history import PauseHistory
    from ocsync.store.profiles import Profile
    from ocsync.store.runs import Runs
    from ocsync.store.sent_record import SentRecord
    from ocsync.store.tombstones import Tombstones
    from ocsync.store.window_locks import WindowLocks

from typing import NamedTuple

JOURNAL_LOCK_SECONDS = 30.0
"""Seconds to wait for the journal's lock: its holders are quick."""
TRANSPORTS = ("http", "kafka")
"""Transports of a listener; one of each may run at a time."""
_PROBE = "probe"
"""The table of the probe's answers beside the pin."""
_LOST = "lost-pauses"
"""The folder of the notes that a pause of ours was seen ended, one a target."""
LISTENER_LOCK_SECONDS = 0.5
"""Seconds a listener waits for its lock: asking whether one runs holds it for a moment."""


class Pin(NamedTuple):
    """Marketplace of the first sign-in, and the URL of its API.

    *api_url* is empty where an earlier version wrote the pin.
    """

    id: str
    name: str
    api_url: str = ""


class ProfileDir:
    """Files of one profile. *warn* receives a warning for each torn last line.

    *open_record* opens the record of sent entries, which is outside of the workspace.
    """

    def __init__(
        self,
        path: Path,
        *,
        warn: Warn,
        command: str,
        open_record: Callable[[], SentRecord],
        lock_seconds: float = 0.0,
    ) -> None:
        self.path = path
        self._open_record = open_record
        self.command = command
        self._warn = warn
        self._lock_seconds = lock_seconds
        self._pauses = files.ParsedFile(path / "pause.toml", _read_pauses)

    @property
    def profile(self) -> Profile:
        """Profile as its file has it, each URL in its one spelling.

        Raises Damaged for a file that is none, ConfigError for a URL that cannot be used.
        """
        import msgspec

        from ocsync.store.profiles import Profile, parse_url

        path = self.path / "profile.toml"
        try:
            profile = msgspec.convert(read_toml(path), Profile)
        except msgspec.ValidationError as error:
            raise damaged(path, 1, f"not a profile: {error}") from error
        urls = {}
        for key in ("api_url", "auth_url"):
            try:
                urls[key] = parse_url(getattr(profile, key), profile.plain_http)
            except UsageError as error:
                raise ConfigError(
                    f"{path}: {key}: {error.message}", hint=f"change {key} in {path}: {error.hint}"
                ) from error
        return msgspec.structs.replace(profile, name=self.path.name, **urls)

    def unknown_keys(self) -> list[str]:
        """Return the keys of `profile.toml` that this ocsync does not know. Raises Damaged."""
        from ocsync.secrets import SecretSource
        from ocsync.store.profiles import Profile

        content = read_toml(self.path / "profile.toml")
        secret = content.get("secret")
        inner = secret if isinstance(secret, dict) else {}
        return [
            *(name for name in content if name not in Profile.__struct_fields__),
            *(f"secret.{n}" for n in inner if n not in SecretSource.__struct_fields__),
        ]

    @cached_property
    def journal(self) -> Journal:
        """Journal of the staged edits."""
        from ocsync.store.journal import Journal

        return Journal(self.path / "journal", self.journal_lock, self._warn)

    @cached_property
    def sent_record(self) -> SentRecord:
        """Record of the entries that runs took."""
        return self._open_record()

    @cached_property
    def runs(self) -> Runs:
        """Runs of the profile."""
        from ocsync.store.runs import Runs

        return Runs(self.path / "runs", self._warn)

    @cached_property
    def delivery_log(self) -> DeliveryLog:
        """Log of the messages that a listener received."""
        from ocsync.store.delivery_log import DeliveryLog

        return DeliveryLog(self.path / "delivery.jsonl")

    @property
    def window_locks(self) -> WindowLocks:
        """Locks of the open windows."""
        from ocsync.store.window_locks import WindowLocks

        return WindowLocks(self.path / "windows")

    @property
    def pause_history(self) -> PauseHistory:
        """Log of the ended pauses."""
        from ocsync.store.pause_history import PauseHistory

        return PauseHistory(self.path / "pauses.jsonl", self._warn)

    @property
    def tombstones(self) -> Tombstones:
        """Refs that were deleted and not created again since."""
        from ocsync.store.tombstones import Tombstones

        return Tombstones(self.path / "deleted.jsonl", self.journal_lock, self._warn)

    @contextmanager
    def listen_lock(self, transport: str = "") -> Iterator[None]:
        """Hold the lock of the listener over *transport*, or of both. Raises Locked if one runs."""
        patience = max(self._lock_seconds, LISTENER_LOCK_SECONDS) if transport else 0.0
        with ExitStack() as held:
            for name in [transport] if transport else TRANSPORTS:
                path, hint = (
                    self.path / f"listen-{name}.lock",
                    f"only one {name} listener can run at a time",
                )
                waiting = lock.hold(path, what=self.command, timeout=patience, hint=hint)
                held.enter_context(waiting)
            yield

    def listener_runs(self) -> bool:
        """Return whether a listener of this profile runs, in whatever process."""
        try:
            with self.listen_lock():
                return False
        except Locked:
            return True

    def run_lock(self) -> AbstractContextManager[None]:
        """Return the lock of everything that writes to the marketplace; entering raises Locked."""
        path = self.path / "run.lock"
        return lock.hold(path, what=self.command, timeout=self._lock_seconds)

    def journal_lock(self) -> AbstractContextManager[None]:
        """Return the lock of an append or a seal; entering raises Locked."""
        return lock.hold(
            self.path / "journal.lock", what=self.command, timeout=JOURNAL_LOCK_SECONDS
        )

    def read_pin(self) -> Pin | None:
        """Return the marketplace pinned at the first sign-in, or None."""
        facts = read_toml(self.path / "marketplace.toml")
        return Pin(*(str(facts.get(key, "")) for key in Pin._fields)) if "id" in facts else None

    def write_pin(self, pin: Pin) -> None:
        """Pin the marketplace; what the probe found there stays."""
        path = self.path / "marketplace.toml"
        probed = {name: facts for name, facts in read_toml(path).items() if name == _PROBE}
        write_toml(path, {**pin._asdict(), **probed})

    def read_probe_answers(self) -> dict[str, Any]:
        """Return the probe's answers: question -> value, evidence and time. Raises Damaged."""
        answers = read_toml(self.path / "marketplace.toml").get(_PROBE)
        return answers if isinstance(answers, dict) else {}

    def write_probe_answers(self, answers: dict[str, Any]) -> None:
        """Replace the probe's answers."""
        path = self.path / "marketplace.toml"
        write_toml(path, {**read_toml(path), _PROBE: answers})

    def read_probe_leftovers(self) -> list[Any]:
        """Return the paths of what a probe created and has not deleted. Raises Damaged."""
        made = read_toml(self.path / "probe.toml").get("made")
        return made if isinstance(made, list) else []

    def write_probe_leftovers(self, made: list[str]) -> None:
        """Replace the paths of what a probe created; none removes the file."""
        path = self.path / "probe.toml"
        if made:
            write_toml(path, {"made": made})
        else:
            files.remove_file(path)

    def forget_pin(self) -> None:
        """Forget the pinned marketplace, as the profile is for another one now."""
        files.remove_file(self.path / "marketplace.toml")

    def unfinished_work(self) -> str:
        """Return what ties this profile to its marketplace, in words; empty for nothing.

        That are staged edits, runs that are not closed, pauses and attached listeners.
        """
        from ocsync.store.summary import summarize_journal, unfinished_runs

        staged = summarize_journal(self.path / "journal", self._warn).entries
        runs = [run.id for run in unfinished_runs(self.path, self._warn)]
        pauses, attachments = self.claims(), self.read_raw_attachments()
        work = {
            count(staged, "staged edit"): staged,
            f"{'unfinished run' if len(runs) == 1 else 'unfinished runs'} {', '.join(runs)}": runs,
            f"a pause of {', '.join(pauses)}": pauses,
            f"a listener attached to {', '.join(attachments)}": attachments,
        }
        return "; ".join(text for text, there in work.items() if there)

    def read_raw_pauses(self) -> dict[str, dict[str, Any]]:
        """Return `pause.toml` as it stands: target -> its pause's members. Raises Damaged.

        A pause that `note_lost` names says so.
        """
        pauses = self._pauses.read()
        if not pauses or not (self.path / _LOST).is_dir():
            return pauses
        notes = {name: read_toml(self._note_of(name)) for name in pauses}
        lost = {
            name: {**facts, "lost": str(notes[name]["at"])}
            for name, facts in pauses.items()
            if not facts.get("lost") and "at" in notes[name]
            if notes[name].get("since") == facts["since"]
        }
        return {**pauses, **lost}

    def claims(self) -> dict[str, dict[str, Any]]:
        """Return the pauses of `read_raw_pauses` that are not lost: this workspace may unpause."""
        return {
            name: facts for name, facts in self.read_raw_pauses().items() if not facts.get("lost")
        }

    def note_lost(self, target: str, since: str, at: str) -> None:
        """Note that our pause of *target* that began at *since* was seen ended.

        That takes no lock, so that a command that only looks can say it beside one that works: it
        is a file of its own, and counts for that very pause alone. Raises OSError.
        """
        write_toml(self._note_of(target), {"since": since, "at": at})

    def _note_of(self, target: str) -> Path:
        return self.path / _LOST / f"{target}.toml"

    def read_pauses(self) -> dict[str, Pause]:
        """Return the pauses of this workspace, by target. Raises Damaged."""
        import msgspec

        from ocsync.pause import Pause

        try:
            pauses = {
                name: msgspec.convert({"target": name, **facts}, Pause)
                for name, facts in self.read_raw_pauses().items()
            }
            for pause in pauses.values():
                pause.check_target()
            return pauses
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise damaged(self.path / "pause.toml", 1, f"not a pause: {error}") from error

    def read_raw_attachments(self) -> dict[str, dict[str, Any]]:
        """Return `attached.toml` as it stands: CONFIG/TYPE -> the attachment's members.

        Raises Damaged.
        """
        path = self.path / "attached.toml"
        attachments = read_toml(path)
        try:
            for key, facts in attachments.items():
                parse_timestamp(facts["since"])
                config, _, target_type = key.partition("/")
                if not (config and target_type):
                    raise ValueError(f"{key} is not CONFIG/TYPE")
                if not isinstance(facts["shown"], dict):
                    raise TypeError("shown is not a table")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise damaged(path, 1, f"not an attached listener: {error}") from error
        return attachments

    def read_attachments(self) -> dict[str, Attachment]:
        """Return the attached listeners, by CONFIG/TYPE. Raises Damaged."""
        import msgspec

        from ocsync.listener_attachment import Attachment

        try:
            return {
                key: msgspec.convert(
                    {
                        "config": key.partition("/")[0],
                        "target_type": key.partition("/")[2],
                        **facts,
                    },
                    Attachment,
                )
                for key, facts in self.read_raw_attachments().items()
            }
        except msgspec.ValidationError as error:
            path = self.path / "attached.toml"
            raise damaged(path, 1, f"not an attached listener: {error}") from error

    def write_attachments(self, attachments: dict[str, Attachment]) -> None:
        """Replace the attached listeners."""
        import msgspec

        facts = {
            key: drop_nulls(msgspec.to_builtins(one)) for key, one in sorted(attachments.items())
        }
        for fact in facts.values():
            del fact["config"], fact["target_type"]
        write_toml(self.path / "attached.toml", facts)

    def write_pauses(self, pauses: dict[str, Pause]) -> None:
        """Replace the pauses of this workspace."""
        import msgspec

        facts = {name: drop_nulls(msgspec.to_builtins(p)) for name, p in sorted(pauses.items())}
        for fact in facts.values():
            fact.pop("target", None)
        write_toml(self._pauses.path, facts)
        self._pauses.written(facts)
        for note in (self.path / _LOST).glob("*.toml"):
            pause = pauses.get(note.stem)
            if pause is None or pause.lost or read_toml(note).get("since") != pause.since:
                note.unlink(missing_ok=True)


def _read_pauses(path: Path) -> dict[str, dict[str, Any]]:
    """Return the pauses in *path*, each with stamps that can be read. Raises Damaged."""
    pauses = read_toml(path)
    try:
        for facts in pauses.values():
            for stamp in (facts["since"], facts.get("until", facts["since"])):
                parse_timestamp(stamp)
    except KeyError as error:
        raise damaged(path, 1, "not a pause: since is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(path, 1, f"not a pause: {error}") from error
    return pauses


def drop_nulls(thing: Any) -> Any:
    """Return *thing* without the members that are null, which TOML cannot hold."""
    if isinstance(thing, dict):
        return {name: drop_nulls(value) for name, value in thing.items() if value is not None}
    if isinstance(thing, list):
        return [drop_nulls(value) for value in thing if value is not None]
    return thing


_MOST_TOML_BYTES = 4 * 1024 * 1024
"""Bytes of TOML that are read: far more than ocsync writes, and parsed in seconds."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the file's content; empty when there is none. Raises Damaged when it is not TOML."""
    try:
        return tomllib.loads(files.read_bytes(path, _MOST_TOML_BYTES).decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise damaged(path, getattr(error, "lineno", 1), f"not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise damaged(path, 1, "not TOML: it is not UTF-8 text") from error
    except (RecursionError, ValueError) as error:  # from the depth or a number's digits
        text = "not TOML: nested too deep, or a number has too many digits"
        raise damaged(path, 1, text) from error


def write_toml(path: Path, content: dict[str, Any]) -> None:
    """Replace the file whole. Text that is not UTF-8, as a path may be, is written escaped."""
    files.make_folder(path.parent)
    files.write_atomically(path, encode_toml(content))


def encode_toml(content: dict[str, Any]) -> bytes:
    """Return the bytes of a TOML file; text that is no UTF-8 is escaped."""
    import tomli_w

    return tomli_w.dumps(_storable(content)).encode()


def _storable(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {_storable(name): _storable(value) for name, value in thing.items()}
    if isinstance(thing, list):
        return [_storable(value) for value in thing]
    return escape_undecodable(thing) if isinstance(thing, str) else thing
