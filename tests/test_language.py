"""Every text of the program: no retired words, and numbers that agree with their nouns."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.plurals import count, plural_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ocsync"

RETIRED = {
    r"\blift(s|ed|ing)?\b": "unpause",
    r"\b(by|of|to) us\b|\bours?\b": "this workspace",
    r"\b(go|goes|going|gone|went) on\b": "continue",
    r"\bmeanwhile\b": "in the meantime",
    r"\bsomebody\b|\bsomebody else\b": "someone else",
    r"\b(any|every)body\b": "anyone",
    r"\bhear(s|d|ing)?\b": "the listener received",
    r"\banew\b|\bmade again\b": "recreate",
    r"\b(is|are|was|were) there (already|again)\b": "exists already",
    r"\bnot there\b": "does not exist",
    r"\bat once\b": "immediately",
    r"\ball the same\b": "anyway",
    r"\bmean it\b|\b(is|be) meant\b": "say what the option does",
    r"\bsettle[sd]\b": "resolved",
    r"\bcut off\b": "interrupted",
    r"\btorn\b": "incomplete",
    r"\bmend(s|ed|ing)?\b": "repair, edit",
    r"\bhalf (made|written)\b": "interrupted",
    r"(?<!there )\b(is|are|was|were) no (?!longer\b)": "is not a",
    r"\b(take|takes|took|taken|go|goes|come|comes|came|brought|bring|brings) along\b": "dependents",
    r"\bwhat (is|was) (staged|there|written)\b": "staged edits, current values",
    r"\bas staged\b": "need no change",
    r"\bset-up\b": "setup",
    r"\bexpectations?\b": "expected value",
    r"\btold\b|\btells\b": "shows, says",
    r"\b(simply|just|oops|please)\b": "nothing",
    r"\bunder way\b": "in flight",
    r"\bway back\b|\btak(e|es|ing|en) back\b": "undo",
    r"\bany more\b": "no longer",
    r"\blooked at\b": "checked",
    r"\bsent again\b": "resent",
    r"\bwants? (to|a)\b": "needs",
    r"\bthings? (is|are)\b": "problems",
    r"\bthis was a dry run\b": "dry run",
    r"\bis at work\b": "is running",
    r"\bfor you alone\b|\byour own to\b": "private",
    r"\bout of the way\b|\bon the way\b": "say where",
}
"""The words and phrases that no text uses: pattern -> what to say in their place."""

_ANY = re.compile("|".join(RETIRED), re.IGNORECASE)

ALLOWED = {
    "ocsync/guide/json.md": {"lifted", "ours", "hearing"},
}
"""The files that may use retired words, with the words: names of the JSON of an earlier format."""


class Text(NamedTuple):
    """A text of the program, and where it stands."""

    file: str
    line: int
    text: str


@functools.cache
def _nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def _literal(node: ast.expr) -> str:
    """Return the text of a string literal, with `{}` for each value of an f-string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part) if isinstance(part, ast.Constant) else "{}"
                       for part in node.values)  # fmt: skip
    return ""


def string_literals(source: str, file: str) -> Iterator[Text]:
    """Yield the string literals of *source* that are more than one word."""
    nodes, passed = _nodes(source), set()
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values}
        elif isinstance(node, ast.Expr):  # a docstring, or the string below a constant or field
            passed.add(id(node.value))
    for node in nodes:
        if not isinstance(node, ast.Constant | ast.JoinedStr) or id(node) in passed:
            continue
        text = _literal(node)
        if " " in text.strip():
            yield Text(file, node.lineno, text)


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _code_texts() -> Iterator[Text]:
    for path in _modules():
        yield from string_literals(path.read_text("utf-8"), str(path.relative_to(ROOT)))


def _page_texts() -> Iterator[Text]:
    pages = [*(PACKAGE / "guide").glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/**/*")]
    for path in sorted(path for path in pages if path.suffix in (".md", ".sh", ".yml")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            yield Text(str(path.relative_to(ROOT)), number, line)


def _outline_texts() -> Iterator[Text]:
    def texts(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                yield from texts(part)

    for text in texts(json.loads((PACKAGE / "cli" / "outline.json").read_text("utf-8"))):
        yield Text("ocsync/cli/outline.json", 1, text)


def retired_words(texts: Iterator[Text]) -> list[str]:
    """Return a line for each retired word in *texts*."""
    found = []
    for file, line, text in texts:
        allowed = ALLOWED.get(file, set())
        for pattern, better in RETIRED.items() if _ANY.search(text) else ():
            match = re.search(pattern, text, re.IGNORECASE)
            if match and match[0] not in allowed:
                found.append(f'{file}:{line}: "{match[0]}" ({better}) in: {text.strip()[:120]}')
    return found


def uncounted_nouns(source: str, file: str) -> Iterator[str]:
    """Yield the f-strings of *source* that write a number before a plural noun by themselves.

    A number below two would not agree; a constant limit is never below two.
    """
    for node in _nodes(source):
        if not isinstance(node, ast.JoinedStr):
            continue
        for number, after in pairwise(node.values):
            if not isinstance(number, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            value = ast.unparse(number.value)
            formatted = number.format_spec is not None and "," in ast.unparse(number.format_spec)
            is_number = (formatted or value.startswith("len(")) and not value.isupper()
            if is_number and (match := _PLURAL_NOUN.match(str(after.value))):
                yield f"{file}:{node.lineno}: {value}{match[0]}"


_PLURAL_NOUN = re.compile(
    r" ([a-z]+ ){0,2}(entries|edits|refs|steps|requests|records|lines|messages|targets|runs|changes"
    r"|dependents|columns|cells|products|files|profiles|roles|checks|adjustments|attempts|problems"
    r"|differences|duplicates|conflicts|configs|values|quantities)\b"
)
_LARGE_NUMBERS = {
    "number single sync requests": "the advice begins above a hundred",
    "len(request.refs) refs": "the name of a request, which an unfinished run is compared with",
    "result.columns columns": "a range of cells that is too large",
    "total refs": "one ref has a sentence of its own",
    "mean requests": "a rate",
    "rate requests": "a rate",
}


def broken_sentences(source: str, file: str) -> Iterator[str]:
    """Yield the lines of output of *source* that the next one continues.

    Written at one width, such a sentence wraps raggedly at any other; the console wraps lines.
    """
    for node in _nodes(source):
        body = getattr(node, "body", ())
        for first, second in pairwise(body if isinstance(body, list) else ()):
            if _BROKEN.search(_shown(first)) and re.match(r" +[a-z]", _shown(second)):
                yield f"{file}:{second.lineno}: {_shown(first).strip()}"


_BROKEN = re.compile(r"^ .{50,}[a-z,]$")


def _shown(statement: ast.AST) -> str:
    """Return the literal that *statement* prints, or yields as a line; empty for none."""
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Call) and value.args:
        return _literal(value.args[0])
    if isinstance(value, ast.Yield) and isinstance(value.value, ast.Tuple):
        return _literal(value.value.elts[-1])
    return ""


def test_no_sentence_is_broken_over_lines_of_output() -> None:
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in _modules()}
    assert not [line for file, source in sources.items() for line in broken_sentences(source, file)]
    for show in ('info("  {}")', 'info(f"  {}", "!")', 'yield "!", "  {}"'):
        lines = [show.format(half) for half in (f"{'long ' * 12}and", "then the rest.")]
        assert len([*broken_sentences("def f():\n    " + "\n    ".join(lines), "x.py")]) == 1


def test_no_retired_word_is_left() -> None:
    assert not retired_words(_code_texts())
    assert not retired_words(_page_texts())
    assert not retired_words(_outline_texts())


@pytest.mark.parametrize("text", [
    "inventory was lifted", "paused by us", "going on with it", "it is there already", "heard of",
    "Send it all the same?", "is no time such as 5m", "quantities without an expectation", "a torn line",
    "1 ref already as staged", "what goes along: 3 prices, brought along", "if you mean it", "Please wait",
])  # fmt: skip
def test_a_retired_word_is_found_and_what_is_not_said_is_not(text: str) -> None:
    source = f'"""A docstring: {text}."""\nNAME = "lifted"\n\n\ndef f(x: int) -> str:\n    {{}}\n'
    assert not retired_words(string_literals(source.format('return "paused"'), "x.py"))
    for literal in (f'"{text}"', f'f"{{{{x}}}} {text}"'):
        assert retired_words(string_literals(source.format(f"return {literal}"), "x.py")), literal


def test_numbers_are_written_with_their_nouns_by_the_helper() -> None:
    found = [
        line
        for path in _modules()
        for line in uncounted_nouns(path.read_text("utf-8"), str(path.relative_to(ROOT)))
        if not any(line.endswith(known) for known in _LARGE_NUMBERS)
    ]
    assert not found
    assert list(uncounted_nouns('f"{n:,} staged entries"', "x.py")) == ["x.py:1: n staged entries"]
    assert list(uncounted_nouns('f"{len(x)} refs"', "x.py")) == ["x.py:1: len(x) refs"]


NOUNS = ["step", "entry", "day", "address", "batch", "index", "price schedule", "category", "key"]


@given(number=st.integers(0, 10**7), noun=st.sampled_from(NOUNS))
def test_only_one_is_singular(number: int, noun: str) -> None:
    figure, _, words = count(number, noun).partition(" ")
    assert figure == f"{number:,}"
    assert words == (noun if number == 1 else plural_of(noun))
    assert (
        count(number, "ref is", "refs are")
        == f"{number:,} {'ref is' if number == 1 else 'refs are'}"
    )


def test_plurals() -> None:
    plurals = {"step": "steps", "entry": "entries", "day": "days", "address": "addresses",
               "batch": "batches", "index": "indexes", "staged entry": "staged entries"}  # fmt: skip
    assert {noun: plural_of(noun) for noun in plurals} == plurals
