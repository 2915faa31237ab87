"""How numbers are written in tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def figure(accuracy: float, digits: int = 3) -> str:
    """An accuracy as the paper prints it: three decimals, no zero before the point."""
    return f"{accuracy:.{digits}f}".replace("0.", ".", 1)


def bracket(interval: Sequence[float], digits: int = 3) -> str:
    """An interval."""
    return f"[{', '.join(figure(end, digits) for end in interval)}]"


def spread(found: dict[str, Any]) -> str:
    """A mean with its standard deviation over seeds; with one seed, its Wilson interval over images."""
    if found["std"] is not None:
        return f"{figure(found['mean'])} ± {figure(found['std'])}"
    return f"{figure(found['mean'])} {bracket(found['wilson'])}"


def plus(difference: float, digits: int = 3) -> str:
    """A difference with its sign, and no zero before the point."""
    return f"{difference:+.{digits}f}".replace("0.", ".", 1)


def signed(found: dict[str, Any], digits: int = 3) -> str:
    """A difference with its sign, and the 95% t-interval of it over seeds if there are several."""
    mean = plus(found["mean"], digits)
    return f"{mean} {bracket(found['interval'], digits)}" if found["interval"] else mean


def average(values: Sequence[float | None]) -> str:
    """The mean of distances over seeds, "none" where one of them is not known."""
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known and len(known) == len(values) else "none"


def listed(items: Sequence[Any]) -> str:
    """Words or numbers as a sentence lists them: "a, b and c"."""
    words = list(map(str, items))
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
