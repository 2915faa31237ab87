"""Sliders, where the notebook can show them; elsewhere the picture is drawn once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def slider(draw: Callable[..., object], **controls: Any) -> None:
    """Call ``draw(name=value, ...)`` whenever a control moves.

    Each control is ``name=(low, high, step, start)``, a slider of whole numbers if all four are whole, or
    ``name=[choices]``, a menu that starts at the first. Without ipywidgets, and in a script, ``draw`` is called once,
    with the starts.
    """
    if not can_show():
        starts = {name: c[0] if isinstance(c, list) else c[3] for name, c in controls.items()}
        arguments = ", ".join(f"{name}={value!r}" for name, value in starts.items())
        print(f"No sliders here (they need Jupyter and ipywidgets). This is {draw.__name__}({arguments}).")
        draw(**starts)
        return
    import ipywidgets
    from IPython.display import display

    display(ipywidgets.interactive(draw, **{name: control(ipywidgets, name, c) for name, c in controls.items()}))


def can_show() -> bool:
    """Whether there are sliders, and a notebook to show them."""
    try:
        import ipywidgets  # noqa: F401
        from IPython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None


def control(ipywidgets: Any, name: str, given: Any) -> Any:
    """The widget of one control."""
    label = name.replace("_", " ")
    if isinstance(given, list):
        return ipywidgets.Dropdown(options=given, description=label)
    low, high, step, start = given
    kind = ipywidgets.IntSlider if all(isinstance(x, int) for x in given) else ipywidgets.FloatSlider
    return kind(value=start, min=low, max=high, step=step, description=label, continuous_update=False)
