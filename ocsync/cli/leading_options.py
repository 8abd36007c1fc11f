"""Common options that are typed in front of the command, as in `ocsync --json status` or
`ocsync stage --json list`.
"""

from __future__ import annotations

GROUPS = frozenset(("profile", "stage", "history", "delivery", "listen"))
"""The commands that have commands below them, listed so that the others need not be looked up."""


def behind_command(words: list[str]) -> list[str]:
    """Return *words* with the common options in front of the command moved behind it.

    Words that do not begin with such an option, or name no command, are returned as they are. An
    option that is none of these is left as the first word.
    """
    if len(words) < 2:
        return words
    first = words[1] if words[0] in GROUPS else words[0]
    if not first.startswith("-"):
        return words
    from ocsync.cli.common_options import COMMON_OPTIONS
    from ocsync.cli.outline import read_outline

    options = {name: option for option in COMMON_OPTIONS.values() for name in option.names}
    commands = read_outline()["commands"]
    path: list[str] = []
    leading: list[str] = []
    rest = words
    while rest:
        if " ".join([*path, rest[0]]) in commands:
            path, rest = [*path, rest[0]], rest[1:]
        elif option := options.get(rest[0].partition("=")[0]):
            size = 1 if option.kind is bool or "=" in rest[0] else 2
            leading, rest = [*leading, *rest[:size]], rest[size:]
        else:
            break
    if rest and not path and rest[0].startswith("-"):
        return rest  # one that is wrong here, or --help: it is answered before any other
    return [*path, *leading, *rest] if path else words
