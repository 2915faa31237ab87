"""What a user sees when something is wrong: the argument, what was got, what is expected, and a hint."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input, in one sentence: ``argument: got GOT, expected EXPECTED. HINT``.

    Raised once, at the boundary. The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, argument: str, got: object, expected: str, hint: str = "") -> None:
        super().__init__(f"{argument}: got {got}, expected {expected}.{' ' + hint if hint else ''}")
        self.argument = argument
        self.given = (argument, got, expected, hint)

    def __reduce__(self) -> tuple:
        """How it crosses from one process to another."""
        return InputError, self.given
