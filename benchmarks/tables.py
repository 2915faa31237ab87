"""Numbers for the eye: ratios and aligned columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def ratio(values: dict[str, Any], above: str, below: str) -> float | None:
    """One value over another, None where either is missing."""
    return values[above] / values[below] if values.get(above) and values.get(below) else None


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as aligned columns, the first of them names: numbers with about three digits, a dash for None."""
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *values in cells:
        right = [f"{value:>{width}}" for value, width in zip(values, widths[1:], strict=True)]
        lines.append("  ".join([f"{name:<{widths[0]}}", *right]).rstrip())
    return "\n".join(lines)


def shown(cell: Any) -> str:
    """A table's cell."""
    if isinstance(cell, float):
        return f"{cell:.2f}" if cell < 10 else f"{cell:.1f}" if cell < 100 else f"{cell:,.0f}"
    return "-" if cell is None else str(cell)
