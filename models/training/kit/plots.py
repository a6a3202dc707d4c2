"""Plots as SVG text: a page that holds them needs nothing else, neither a library nor the network."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 340, 260, 46, 40, 24, 10
# Okabe and Ito's colours, told apart by people with colour blindness too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")

Line = Sequence[Sequence[float]]


def _x(value: float) -> float:
    return LEFT + value * (WIDTH - LEFT - RIGHT)


def _y(value: float, top: float = 1.0) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)


def _frame(title: str, x: str, y: str, body: str, top: float = 1.0) -> str:
    ticks = "".join(
        f'<text x="{_x(t):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{t:g}</text>'
        f'<text x="{LEFT - 5}" y="{_y(t * top, top) + 4:.1f}" text-anchor="end">{t * top:g}</text>'
        for t in (0.0, 0.5, 1.0)
    )
    box = f'<rect x="{_x(0)}" y="{_y(top, top)}" width="{_x(1) - _x(0)}" height="{_y(0) - _y(top, top)}" class="box"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"><text x="{LEFT}" y="14" class="title">{escape(title)}</text>'
        f'{box}{ticks}<text x="{(_x(0) + _x(1)) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x)}</text>'
        f'<text x="12" y="{(_y(0) + _y(top, top)) / 2:.0f}" text-anchor="middle" transform="rotate(-90 12 {(_y(0) + _y(top, top)) / 2:.0f})">{escape(y)}</text>{body}</svg>'
    )


def _path(points: Line, colour: str, top: float = 1.0) -> str:
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{" ".join(f"{_x(a):.1f},{_y(b, top):.1f}" for a, b, *_ in points)}"/>'


def _diagonal() -> str:
    return f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" class="guide"/>'


def roc(lines: dict[str, Line]) -> str:
    body = _diagonal() + "".join(_path(points, colour) for points, colour in zip(lines.values(), COLOURS))
    return _frame("ROC, images", "1 - specificity", "sensitivity", body)


def reliability(lines: dict[str, Line]) -> str:
    body = _diagonal()
    for points, colour in zip(lines.values(), COLOURS):
        body += _path(points, colour) + "".join(f'<circle cx="{_x(a):.1f}" cy="{_y(b):.1f}" r="2.2" fill="{colour}"/>' for a, b, _ in points)
    return _frame("reliability, images", "calibrated probability", "share positive", body)


def risk_coverage(lines: dict[str, Line]) -> str:
    top = max(0.1, max(b for points in lines.values() for _, b in points[len(points) // 20 :]))
    top = round(top + 0.049, 1)
    body = "".join(_path([p for p in points if p[1] <= top], colour, top) for points, colour in zip(lines.values(), COLOURS))
    return _frame("risk and coverage, fingers", "share answered, surest first", "share wrong", body, top)


def confusion(title: str, counts: list[list[int]], labels: Sequence[str]) -> str:
    rows = []
    for truth, line in enumerate(counts):
        total = max(sum(line), 1)
        for said, count in enumerate(line):
            x, y = 110 + 100 * said, 46 + 70 * truth
            rows.append(
                f'<rect x="{x}" y="{y}" width="98" height="68" fill="#0072b2" fill-opacity="{0.05 + 0.75 * count / total:.2f}"/>'
                f'<text x="{x + 49}" y="{y + 32}" text-anchor="middle">{count}</text><text x="{x + 49}" y="{y + 48}" text-anchor="middle">{count / total:.2f}</text>'
            )
    names = "".join(f'<text x="{159 + 100 * i}" y="40" text-anchor="middle">said {escape(n)}</text><text x="104" y="{84 + 70 * i}" text-anchor="end">{escape(n)}</text>' for i, n in enumerate(labels))
    return f'<svg viewBox="0 0 {WIDTH} 200" role="img" aria-label="{escape(title)}"><text x="8" y="14" class="title">{escape(title)}</text>{names}{"".join(rows)}</svg>'


def bars(title: str, values: Sequence[tuple[str, float]], most: int = 12) -> str:
    shown = list(values)[:most]
    top = max([v for _, v in shown] + [1e-6])
    body = "".join(
        f'<text x="222" y="{38 + 18 * i}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="226" y="{28 + 18 * i}" width="{max(0.0, value) / top * 70:.1f}" height="12" fill="#0072b2"/>'
        f'<text x="{230 + max(0.0, value) / top * 70:.1f}" y="{38 + 18 * i}">{value:.3f}</text>'
        for i, (name, value) in enumerate(shown)
    )
    return f'<svg viewBox="0 0 {WIDTH} {36 + 18 * len(shown)}" role="img" aria-label="{escape(title)}"><text x="8" y="14" class="title">{escape(title)}</text>{body}</svg>'


def legend(names: Sequence[str]) -> str:
    return "".join(f'<span class="key"><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in zip(names, COLOURS))
