"""Common options that are typed in front of the command, as in `ocsync --json status`."""

from __future__ import annotations


def behind_command(words: list[str]) -> list[str]:
    """Return *words* with the common options in front of the command moved behind it.

    Words that do not begin with such an option, or name no command, are returned as they are.
    """
    if len(words) < 2 or not words[0].startswith("-"):
        return words
    from ocsync.cli.common_options import COMMON_OPTIONS
    from ocsync.cli.outline import read_outline

    options = {name: option for option in COMMON_OPTIONS.values() for name in option.names}
    size = 0
    while words[size : size + 1] and (option := options.get(words[size].partition("=")[0])):
        has_value = option.kind is bool or "=" in words[size]
        size += 1 if has_value else 2
    leading, rest = words[:size], words[size:]
    commands = read_outline()["commands"]
    depth = 0
    while depth < len(rest) and " ".join(rest[: depth + 1]) in commands:
        depth += 1
    return [*rest[:depth], *leading, *rest[depth:]] if depth else words
