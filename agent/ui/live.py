"""Telling a page of what changes in a run's folder, as long as it looks: text is a fragment, binary is traces."""

import asyncio
import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

LOOK_S = 0.3
POINTS = 24_000  # of all lines of a plot together


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    label: str
    kind: str  # "best", "other", "measured"
    t: np.ndarray  # [T] ms
    v: np.ndarray  # [T]


@dataclass(frozen=True)
class Band:
    """What was measured, as a region of a plot: of values ("y") or of times ("x"), mean ± SD."""

    axis: str
    low: float
    high: float
    label: str


@dataclass(frozen=True)
class Plot:
    """The lines under one protocol, and what was measured there."""

    name: str
    unit: str
    stimulus: tuple[float, float] | None  # delay and end, ms
    words: str
    lines: list[Line]
    bands: list[Band] = field(default_factory=list)
    marks: list[tuple[float, float, str]] = field(default_factory=list)  # ms, value, what
    movable: bool = False  # whether the stimulus can be dragged


def packed(plots: list[Plot]) -> bytes:
    """Plots as one message: the length of a JSON head (uint32), the head, float32: for each plot x [P], then lines."""
    head, data = [], list[np.ndarray]()
    for plot in plots:
        x, lines = _on_one_grid(plot.lines)
        data += [x, *lines]
        head.append(
            {
                "name": plot.name,
                "unit": plot.unit,
                "stimulus": plot.stimulus,
                "words": plot.words,
                "points": len(x),
                "lines": [{"label": line.label, "kind": line.kind} for line in plot.lines],
                "bands": [band.__dict__ for band in plot.bands],
                "marks": plot.marks,
                "movable": plot.movable,
            }
        )
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 4)
    numbers = np.concatenate(data) if data else np.empty(0)
    return np.uint32(len(text)).tobytes() + text + numbers.astype("<f4").tobytes()


def _on_one_grid(lines: list[Line]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Times [P] and every line's values there [P]; of what is between two times the lowest and highest are kept."""
    lines = [line for line in lines if len(line.t) > 1]
    if not lines:
        return np.empty(0), []
    start, end = min(line.t[0] for line in lines), max(line.t[-1] for line in lines)
    finest = min(float(np.diff(line.t).min()) for line in lines)
    count = min(round((end - start) / finest) + 1, POINTS // len(lines))
    count += count % 2  # two a stretch
    x = np.linspace(start, end, count)
    return x, [_at(x, line) for line in lines]


def _at(x: np.ndarray, line: Line) -> np.ndarray:
    outside = (x < line.t[0] - 1e-9) | (x > line.t[-1] + 1e-9)
    if len(line.t) <= len(x):
        return np.where(outside, np.nan, np.interp(x, line.t, line.v))
    place = np.clip(np.searchsorted(x[::2], line.t, side="right") - 1, 0, len(x) // 2 - 1)  # two points a stretch
    first = np.flatnonzero(np.diff(place, prepend=-1))
    low, high = np.minimum.reduceat(line.v, first), np.maximum.reduceat(line.v, first)
    falls = line.v[first] > line.v[np.append(first[1:], len(line.v)) - 1]
    out = np.full(len(x), np.nan)
    at = 2 * place[first]
    out[at], out[at + 1] = np.where(falls, high, low), np.where(falls, low, high)
    return np.where(outside, np.nan, out)


async def follow(
    socket: WebSocket,
    sign: Callable[[], tuple[Hashable, Hashable]],
    text: Callable[[], str],
    drawn: Callable[[], bytes],
) -> None:
    """Send a fragment and traces now and whenever what they are made of has changed, until the page goes.

    Args:
        socket: not accepted yet.
        sign: what fragment and traces depend on, cheap to ask.
        text, drawn: make them.
    """
    await socket.accept()
    gone = asyncio.create_task(_until_gone(socket))
    before: tuple[Hashable, Hashable] = (None, None)
    try:
        while not gone.done():
            now = await run_in_threadpool(sign)
            if now[0] != before[0]:
                await socket.send_text(await run_in_threadpool(text))
            if now[1] != before[1]:
                await socket.send_bytes(await run_in_threadpool(drawn))
            before = now
            await asyncio.wait({gone}, timeout=LOOK_S)
    except (WebSocketDisconnect, RuntimeError):  # the page went while something was sent
        pass
    finally:
        gone.cancel()


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
