"""Dates: which texts are one, and that they are sent as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.dates import instant, is_date, rfc3339
from tests.builders import Shop
from tests.conftest import Run

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=st.none() | ZONES), st.sampled_from("Tt "))
def test_what_is_sent_is_the_same_moment(moment: datetime, separator: str) -> None:
    text = moment.isoformat(separator)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert is_date(text)
    assert datetime.fromisoformat(rfc3339(text)) == aware == instant(text)
    assert rfc3339(rfc3339(text)) == rfc3339(text)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31 08:30", "2027-01-31T08:30:00Z"),
        ("2027-01-31t08:30:00z", "2027-01-31T08:30:00Z"),
        ("2027-01-31T08:30:00.1234567+02:00", "2027-01-31T08:30:00.1234567+02:00"),
        ("20270131", "2027-01-31T00:00:00+00:00"),
        ("soon", "soon"),
    ],
)
def test_the_form_in_which_dates_are_sent(text: str, sent: str) -> None:
    assert rfc3339(text) == sent


@pytest.mark.parametrize(
    "text",
    ["20270131", "2027-W04-7", "2027W047", "2027-1-31", "31.01.2027", "2027-02-30", "2027-01-31T8:30",
     "2027-01-31T08:30:00+0200", "2027-01-31T08", "2027-01-31T25:00", "٢٠٢٧-01-31", "", " 2027-01-31"],
)  # fmt: skip
def test_other_texts_are_refused_where_they_are_staged(ocsync: Run, text: str) -> None:
    assert not is_date(text)
    refused = ocsync("stage", "set", "price-schedule/PS", f"SaleStart={text}")
    assert refused.code == 65
    assert "is not a date such as 2027-01-31 or 2027-01-31T08:30:00Z" in refused.err


def test_a_day_is_sent_with_time_and_offset_and_found_again(ocsync: Run, shop: Shop) -> None:
    shop.seed(**{"price-schedule": [{"ID": "PS", "Name": "x"}]})
    assert ocsync("stage", "set", "price-schedule/PS", "SaleStart=2027-01-31").code == 0
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/priceschedules/PS")["SaleStart"] == "2027-01-31T00:00:00Z"
    ocsync("stage", "set", "price-schedule/PS", "SaleStart=2027-01-31T01:00:00+01:00")
    assert "unchanged" in ocsync("resume", "--verify").out
