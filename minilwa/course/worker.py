"""The process in which one submission runs: it executes cells and answers calls of the functions that they define.

Standard input and output carry the messages of `wire`. Nothing that is sent here says how an answer is judged: inputs
come in, results go out, and the tests stay with the grader.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from minilwa.course.checks import CheckFailed, alone, describe_error, plain
from minilwa.course.confine import Confinement, limit_resources
from minilwa.course.wire import receive, send


def main() -> None:
    """Serve requests until the grader closes the pipe."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:  # what a submission prints or reads is its own affair
        for standard in (0, 1):
            os.dup2(nothing.fileno(), standard)
    first = receive(requests)
    if first["pictures"]:
        import matplotlib.pyplot  # noqa: F401  its caches are read, and perhaps written, before the fence is up
    limit_resources(first["megabytes"])
    confinement = Confinement()
    send(replies, {})
    namespace: dict[str, Any] = {"__name__": "__main__"}
    while True:
        try:
            request = receive(requests, lambda place: partial(ask, requests, replies, place))
        except EOFError:
            return
        confinement.reached.clear()
        before = dict(namespace)
        reply = run_cell(namespace, request) if "cell" in request else answer(namespace, request, confinement)
        if confinement.reached:
            reply = {"error": f"reached for what it may not: {confinement.reached[0]}", "why": "tampered"}
            namespace.clear()  # what was defined with it does not count
            namespace.update(before)
        send(replies, reply)


def run_cell(namespace: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Execute one cell."""
    try:
        exec(compile(python_of(request["cell"]), request["name"], "exec"), namespace)
    except MemoryError:
        return {"error": "ran out of memory", "why": "memory"}
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: a cell does not end the process
        return {"error": describe_error(error), "why": "error"}
    return {}


def answer(namespace: dict[str, Any], request: dict[str, Any], confinement: Confinement) -> dict[str, Any]:
    """Call one function of the submission, watched."""
    name = request["call"]
    if not callable(namespace.get(name)):
        return {"error": "not defined"}
    confinement.trusted = True
    try:
        with alone():
            confinement.trusted = False
            reply = outcome(namespace[name], request["arguments"])
            confinement.trusted = True
    except CheckFailed as error:
        return {"error": str(error)}
    finally:
        confinement.trusted = False
    return reply


def outcome(function: Callable[..., Any], arguments: list[Any]) -> dict[str, Any]:
    """What one call of the submission's code comes to, whatever it raises."""
    try:
        return {"result": plain(function(*arguments))}
    except MemoryError:
        return {"error": "ran out of memory", "why": "memory"}
    except BaseException as error:
        return {"error": describe_error(error), "raised": type(error).__name__}


def ask(requests: BinaryIO, replies: BinaryIO, place: int, *arguments: Any) -> Any:
    """Call a function that the grader handed over: it runs there."""
    send(replies, {"ask": place, "arguments": plain(arguments)})
    reply = receive(requests)
    if "error" in reply:
        raise RuntimeError(reply["error"])
    return reply["result"]


def python_of(source: str) -> str:
    """The cell's source, without IPython's own lines (%matplotlib, !ls) where it is no Python otherwise."""
    try:
        ast.parse(source)
    except SyntaxError:
        return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
    return source


if __name__ == "__main__":
    main()
