"""Suggestions for a name that does not exist: the closest ones, or else what there is."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ocsync.plurals import first_few

_SHOWN = 12
"""Most names of a list in a message."""
_MOST_CLOSE = 3
_GAP = 0.15
"""Least difference in likeness to the closest name of a name that is left out."""
_LEAST_PART = 4
"""Least length of a name that is taken for a part of another one."""
QUESTION = "did you mean "
"""The beginning of a suggestion."""


def closest(word: str, choices: Iterable[str]) -> list[str]:
    """Return the *choices* that *word* may stand for, the closest first; at most three.

    One that differs in case, blanks and signs alone is the only one.
    """
    from difflib import SequenceMatcher, get_close_matches

    choices = list(choices)
    same = [choice for choice in choices if _letters(choice) == _letters(word)]
    if same and word not in same and _letters(word):
        return same[:1]
    spelled: dict[str, str] = {}
    for choice in choices:
        spelled.setdefault(choice.casefold(), choice)
    folded = word.casefold()
    close = get_close_matches(folded, spelled, _MOST_CLOSE)
    likeness = [SequenceMatcher(None, name, folded).ratio() for name in close]
    good = [name for name, ratio in zip(close, likeness, strict=True) if ratio > likeness[0] - _GAP]
    parts = [name for name in spelled if len(folded) >= _LEAST_PART and folded in name]
    return [spelled[name] for name in dict.fromkeys([*good, *parts])][:_MOST_CLOSE]


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def suggestion(word: str, choices: Iterable[str], otherwise: str) -> str:
    """Return a hint for *word*, which is none of *choices*: the closest ones, or *otherwise*."""
    *others, last = closest(word, choices) or [""]
    return (
        f"{QUESTION}{' or '.join(filter(None, [', '.join(others), last]))}?" if last else otherwise
    )


def with_suggestion(message: str, hint: str) -> str:
    """Return *message* with the *hint*, where that suggests the closest names."""
    return f"{message}; {hint}" if hint.startswith(QUESTION) else message


def listed(choices: Iterable[str], command: str = "") -> str:
    """Return *choices* as text, the first of many; *command* shows them all."""
    names = list(choices)
    source = f" ({command})" if command and len(names) > _SHOWN else ""
    return f"{first_few(names, _SHOWN) or 'none'}{source}"


def set_variable(name: str, value: str = "...", system: str = os.name) -> str:
    """Return the command that sets an environment variable, in the usual shell of the *system*."""
    return f"$env:{name} = '{value}'" if system == "nt" else f"export {name}={value}"
