"""Charts as SVG, drawn by hand: pure functions from numbers to markup.

A chart is as wide as the page. Its places are percentages, so that only the drawing is stretched
and no text; colours come from the page's style sheet. Each has a title and a description for those
who do not see it, and small texts that appear under a pointer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ocsync.render.html import Markup, element
from ocsync.render.text import count, duration
from ocsync.render.timeline import Band, Break

_TOP, _PLOT, _BOTTOM = 26, 150, 26
"""The heights, in pixels, of the names above the drawing, of the drawing, and of the axis below."""
_WIDTH = 1000
"""The width of the drawing in its own units; its height is 100."""
_ROOM_FOR_NAME, _ROOM_FOR_NUMBER = 0.16, 0.04
"""The parts of the width that the name of a band, and its number alone, need on a small screen."""
_NARROWEST = 0.004
"""The part of the width that a wait takes at least, so that it is seen."""
_ROOM_FOR_MARK = 0.36
"""The part of the width that the name of a mark needs on a small screen."""
_STEPS = (1, 2, 5)
_TIME_STEPS = (
    0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400,
    21600, 43200, 86400,
)  # fmt: skip


class Series(NamedTuple):
    """Values of equal parts of the axis; *style* is its class, `area` or `line` with a colour.

    A value that is not 0 is drawn with the part *least* of the height at least, so that it is seen.
    """

    name: str
    values: Sequence[float]
    style: str
    least: float = 0.0


class Mark(NamedTuple):
    """A named point of a curve."""

    at: float
    value: float
    name: str


class Frame(NamedTuple):
    """The frame of a chart: its texts, the *seconds* of its axis, and what lies on it."""

    id: str
    title: str
    description: str
    seconds: float
    bands: Sequence[Band] = ()
    waits: Sequence[Band] = ()
    breaks: Sequence[Break] = ()


def step_chart(frame: Frame, series: Sequence[Series], hints: Sequence[str]) -> Markup:
    """Return a chart of *series*, a step for each value; *hints* are the texts of the parts."""
    top = nice_top(max((value for one in series for value in one.values), default=0))
    paths = [
        element(
            "path",
            class_=one.style,
            d=_step_path(one, top, is_area=one.style.startswith("area")),
        )
        for one in series
    ]
    width = _WIDTH / max(1, len(hints))
    hovers = [
        element("rect", element("title", text), class_="hover", x=index * width, y=0, width=width,
                height=100)
        for index, text in enumerate(hints)
    ]  # fmt: skip
    return _svg(frame, top, [*paths, *hovers], [])


def curve_chart(
    frame: Frame, points: Sequence[tuple[float, float]], marks: Sequence[Mark]
) -> Markup:
    """Return a chart of the sum that *points* (seconds, sum so far) reach, with named *marks*."""
    total = points[-1][1]
    top = nice_top(total)

    def x(seconds: float) -> float:
        return seconds / frame.seconds if frame.seconds else 0.0

    parts = [f"M0 {_number(100)}"]
    for seconds, value in points:
        parts.append(f"H{_number(x(seconds) * _WIDTH)}V{_number(100 - 100 * value / top)}")
    parts.append(f"H{_WIDTH}")
    outline = "".join(parts)
    shapes = [
        element("path", class_="area sent", d=f"{outline}V100Z"),
        element("path", class_="line sent-line", d=outline),
    ]
    return _svg(frame, top, shapes, [_mark(mark, x(mark.at), mark.value / top) for mark in marks])


def _mark(mark: Mark, x: float, share: float) -> Markup:
    """Return a dot at *x* and *share* of the width and the height, with its name beside it.

    A curve that only rises leaves room above it on the left, and below it on the right.
    """
    y = _TOP + _PLOT * (1 - share)
    left = x > _ROOM_FOR_MARK
    return element(
        "g",
        element("line", class_="mark", x1=_percent(x), x2=_percent(x), y1=y, y2=_TOP + _PLOT),
        element("circle", class_="dot", cx=_percent(x), cy=y, r=4),
        element(
            "text", mark.name, class_="mark-name", x=_percent(x), y=y - 5 if left else y + 20,
            dx=-8 if left else 8, text_anchor="end" if left else "start",
        ),
    )  # fmt: skip


def nice_top(value: float) -> float:
    """Return the end of an axis that holds *value*: a round number, at least 1."""
    return max(number_ticks(value)[-1], 1.0)


def number_ticks(value: float) -> list[float]:
    """Return round numbers from 0 on, evenly spaced, the last of which is not below *value*."""
    rough = max(value, 1.0) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(1.0, next((s * power for s in _STEPS if s * power >= rough * 0.99), 10 * power))
    return [index * step for index in range(max(1, math.ceil(value / step - 1e-9)) + 1)]


def time_ticks(seconds: float) -> list[float]:
    """Return two to six even points in time, from 0 on, within *seconds*."""
    last = _TIME_STEPS[-1]
    days = last * max(1, math.ceil(seconds / (5 * last)))
    step = next((step for step in _TIME_STEPS if seconds / step <= 5), days)
    return [index * step for index in range(int(seconds / step + 1e-9) + 1)]


def time_text(seconds: float) -> str:
    """Return a time on the axis, as in `1.5 s`, `2 min`, `2:30 min` or `1:15 h`."""
    if seconds < 60:
        return f"{seconds:g} s"
    large, unit = (3600, "h") if seconds >= 3600 else (60, "min")
    whole, rest = divmod(round(seconds), large)
    return f"{whole}:{rest * 60 // large:02} {unit}" if rest else f"{whole} {unit}"


def number_text(value: float) -> str:
    """Return a number on the axis, as in `1,200`."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def legend(series: Sequence[tuple[str, str]]) -> Markup:
    """Return the legend of *series*: names and classes."""
    items = [
        element(
            "li",
            element(
                "svg",
                element("rect", class_=style, x=0, y=0, width=12, height=12, rx=2)
                if not style.startswith("line")
                else element("line", class_=style, x1=0, x2=12, y1=6, y2=6),
                class_="swatch", width=12, height=12, aria_hidden="true",
            ),
            name,
        )
        for name, style in series
    ]  # fmt: skip
    return element("ul", *items, class_="legend")


def _svg(frame: Frame, top: float, shapes: Sequence[Markup], overlay: Sequence[Markup]) -> Markup:
    names = f"{frame.id}-title {frame.id}-text"
    return element(
        "svg",
        element("title", frame.title, id=f"{frame.id}-title"),
        element("desc", frame.description, id=f"{frame.id}-text"),
        *_band_shapes(frame),
        *_number_axis(top),
        element(
            "svg", *shapes, class_="plot", x=0, y=_TOP, width="100%", height=_PLOT,
            viewBox=f"0 0 {_WIDTH} 100", preserveAspectRatio="none",
        ),
        *_wait_shapes(frame),
        *_break_shapes(frame),
        *overlay,
        *_time_axis(frame.seconds),
        class_="chart", width="100%", height=_TOP + _PLOT + _BOTTOM, role="img",
        aria_labelledby=names,
    )  # fmt: skip


def _step_path(series: Series, top: float, *, is_area: bool) -> str:
    width = _WIDTH / max(1, len(series.values))
    parts, last = ["M0 100"] if is_area else [], ""
    for index, value in enumerate(series.values):
        y = _number(100 - 100 * (max(value / top, series.least) if value else 0))
        if not parts:
            parts.append(f"M0 {y}")
        elif y != last:
            parts.append(f"H{_number(index * width)}V{y}")
        last = y
    parts.append(f"H{_WIDTH}")
    return "".join(parts) + ("V100Z" if is_area else "")


def _number_axis(top: float) -> Iterator[Markup]:
    for tick in number_ticks(top):
        y = _TOP + _PLOT * (1 - tick / top)
        yield element("line", class_="grid", x1=0, x2="100%", y1=y, y2=y)
        yield element("text", number_text(tick), x=-8, y=y + 4, text_anchor="end")


def _time_axis(seconds: float) -> Iterator[Markup]:
    y = _TOP + _PLOT
    for tick in time_ticks(seconds):
        x = tick / seconds if seconds else 0.0
        yield element("line", class_="tick", x1=_percent(x), x2=_percent(x), y1=y, y2=y + 5)
        anchor = "start" if x < 0.02 else "end" if x > 0.97 else "middle"
        yield element("text", time_text(tick), x=_percent(x), y=y + 20, text_anchor=anchor)


def _band_shapes(frame: Frame) -> Iterator[Markup]:
    for index, band in enumerate(frame.bands):
        start, share = band.start / frame.seconds, (band.end - band.start) / frame.seconds
        length = duration(band.end - band.start)
        yield element(
            "rect", element("title", f"{band.name}, {length}"), class_=f"band band-{index % 2}",
            x=_percent(start), y=4, width=_percent(share), height=_TOP + _PLOT - 4,
        )  # fmt: skip
        name = band.name if share >= _ROOM_FOR_NAME else band.name.removeprefix("wave ")
        if share >= _ROOM_FOR_NAME or (name.isdigit() and share >= _ROOM_FOR_NUMBER):
            middle = _percent(start + share / 2)
            yield element("text", name, class_="band-name", x=middle, y=18, text_anchor="middle")


def _wait_shapes(frame: Frame) -> Iterator[Markup]:
    for wait in frame.waits:
        start, share = wait.start / frame.seconds, (wait.end - wait.start) / frame.seconds
        text = f"{wait.name}: waiting {duration(wait.end - wait.start)}"
        place = {"x": _percent(start), "width": _percent(max(share, _NARROWEST))}
        yield element(
            "g",
            element("title", text),
            element("rect", class_="wait-back", y=_TOP, height=_PLOT, **place),
            element("rect", class_="wait", y=_TOP + _PLOT - 5, height=5, **place),
        )


def _break_shapes(frame: Frame) -> Iterator[Markup]:
    for gap in frame.breaks:
        x = _percent(gap.at / frame.seconds)
        text = f"continued {duration(gap.seconds)} later"
        yield element(
            "g",
            element("title", text),
            element("line", class_="break", x1=x, x2=x, y1=4, y2=_TOP + _PLOT),
        )


def seconds_text(seconds: float) -> str:
    """Return a moment of the axis in a hint, as in `1.25 s`."""
    return f"{seconds:,.2f} s" if seconds < 10 else duration(seconds)


def rate_text(rate: float) -> str:
    """Return *rate* in words, as in `312 requests a second`."""
    return f"{count(round(rate), 'request')} per second"


def _percent(share: float) -> str:
    return f"{_number(100 * share)}%"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
