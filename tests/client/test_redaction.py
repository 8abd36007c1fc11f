"""Secrets in answers: hidden in whatever encoding a server repeats them."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.client.redaction import Secret
from tests.builders import Shop
from tests.client.wire import only, reply, serving
from tests.conftest import SECRET, Run, add_profile

ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON with UTF-8": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda s: json.dumps(json.dumps(s))[3:-3],
    ".NET": lambda s: "".join(c if c.isalnum() else f"\\u{ord(c):04X}" for c in s),
    "PHP": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "all escaped": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "form": quote_plus,
    "URL": lambda s: quote(s, safe=""),
    "URL, lower case": lambda s: "".join(
        c if c.isalnum() else quote(c, safe="").lower() for c in s
    ),
    "URL, twice": lambda s: quote(quote(s, safe=""), safe=""),
    "HTML": html.escape,
    "HTML, numbers": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "HTML, hexadecimal": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
}
BASE64 = (base64.b64encode, base64.urlsafe_b64encode)

texts = st.text(st.characters(min_codepoint=32, max_codepoint=0xFFFF, exclude_categories=["Cs"]),
                min_size=6, max_size=40)  # fmt: skip


@pytest.mark.slow
@settings(deadline=None)
@given(texts, st.sampled_from(sorted(ENCODINGS)))
def test_a_secret_is_hidden_in_every_encoding(secret: str, encoding: str) -> None:
    said = ENCODINGS[encoding](secret).encode()
    answer = Secret(secret).hide(b'{"Message":"bad ' + said + b'"}')
    assert answer == b'{"Message":"bad (hidden)"}'


@settings(deadline=None)
@given(texts, st.binary(max_size=5), st.binary(max_size=5), st.sampled_from(BASE64))
def test_a_secret_is_hidden_in_base64_of_a_longer_text(
    secret: str, before: bytes, after: bytes, encode: Callable[[bytes], bytes]
) -> None:
    """What remains at both ends is shared with the text around it: less than two bytes each."""
    whole = before + secret.encode() + after
    rest = Secret(secret).hide(encode(whole))
    assert b"(hidden)" in rest
    assert len(rest) - len(b"(hidden)") <= (len(before) + len(after)) * 4 / 3 + 8


def test_what_is_too_short_is_no_secret() -> None:
    assert Secret("abcde").hide(b"abcde") == b"abcde"
    assert Secret("abcdef").hide(b"xabcdefx") == b"x(hidden)x"


def test_a_long_token_is_found_soon_even_in_a_hostile_answer() -> None:
    token, start = Secret("eyJ" + "aB-_.9" * 300), time.perf_counter()
    assert token.hide(b"t=eyJ" + b"aB-_.9" * 300 + b"!") == b"t=(hidden)!"
    token.hide(b"&#0" * 10_000 + b"%25" * 30_000 + b"\\" * 90_000 + b"eyJaB" * 9000)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("encoding", [".NET", "PHP", "URL", "all escaped"])
def test_a_secret_that_an_error_repeats_is_neither_shown_nor_stored(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    secret = "aB3+x/9Zq==kkPW"
    shop.seed(clients=[{"ID": "c", "Secret": secret, "Roles": ["FullAccess"]}])
    monkeypatch.setenv(SECRET, secret)
    echo = json.dumps({"Errors": [{"ErrorCode": "X", "Message": "no @ here", "Data": "@"}]})
    answer = reply("400 Bad Request", echo.replace("@", ENCODINGS[encoding](secret)).encode())
    with serving(only(b"/v1/", answer)) as server:
        add_profile(ocsync, shop._replace(url=server.url), "other")
        result = ocsync("status", "--profile", "other", "--json")
    assert result.code == 1
    assert "no (hidden) here" in result.err
    assert secret not in result.out + result.err
    assert not [path for path in tmp_path.rglob("*")
                if path.is_file() and secret in path.read_text("latin-1")]  # fmt: skip
