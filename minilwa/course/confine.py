"""What a submission may not do in its process: limits of the system, and an audit hook that refuses and remembers.

A hook inside the interpreter stops what Python's functions do (files, processes, network, threads), not machine code
or a determined expert. It is a fence for coursework, not a wall: see the instructor's page.
"""

from __future__ import annotations

import _thread
import os
import sys
import sysconfig
import threading
from typing import Any

import numpy

import minilwa

REFUSED = (
    "socket.", "subprocess.", "ctypes.", "sqlite3.", "pty.", "webbrowser.", "winreg.", "ftplib.", "urllib.",
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "os.link", "os.symlink",
    "signal.pthread_kill", "sys.setprofile", "sys.settrace", "sys.addaudithook",
)  # fmt: skip
CHANGES = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.chdir",
    "shutil.",
)  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEVICES = {"/dev/null", "/dev/urandom"}


def limit_resources(megabytes: int) -> None:
    """Bound this process's memory, and the files and processes that it can make; on Windows there is nothing to set."""
    try:
        import resource
    except ImportError:
        return
    size = megabytes * 2**20
    for name, most in (("RLIMIT_AS", size), ("RLIMIT_FSIZE", 16 * 2**20), ("RLIMIT_CORE", 0), ("RLIMIT_NPROC", 0)):
        if (kind := getattr(resource, name, None)) is not None:
            try:
                resource.setrlimit(kind, (most, most))
            except (ValueError, OSError):  # macOS refuses some, and a lower limit may hold already
                continue


class Confinement:
    """The audit hook: refuses with PermissionError, and lists in ``reached`` what was refused.

    Libraries may be read, and the working folder read and written; nothing else in the file system.
    """

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.trusted = False
        paths = sysconfig.get_paths()
        libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        libraries |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
        libraries |= {os.path.dirname(str(package.__file__)) for package in (minilwa, numpy)}
        libraries |= {"/usr/share/fonts", "/usr/share/zoneinfo"}
        self.folder = os.path.realpath(os.getcwd())
        self.readable = [os.path.realpath(path) for path in libraries] + [self.folder]
        for module in (_thread, threading):  # no event is raised for a thread before Python 3.12
            for name in {name for name in dir(module) if name.lstrip("_").startswith(("start_new", "start_joinable"))}:
                setattr(module, name, self.no_thread)
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Judge one audited event."""
        if self.trusted:
            return
        if event.startswith(REFUSED):
            self.refuse(event)
        elif event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path, flags = os.path.realpath(os.fsdecode(arguments[0])), arguments[2] or 0
            roots = [self.folder] if flags & WRITES else self.readable
            if path not in DEVICES and not within(path, roots):
                self.refuse(f"open {path}")
        elif event.startswith(CHANGES):
            for argument in arguments:
                if isinstance(argument, (str, bytes)) and not within(os.path.realpath(argument), [self.folder]):
                    self.refuse(f"{event} {os.fsdecode(argument)}")

    def no_thread(self, *arguments: Any, **settings: Any) -> None:
        """In place of what starts a thread, where calls would not be watched."""
        self.refuse("start a thread")

    def refuse(self, what: str) -> None:
        """Remember the attempt and stop it."""
        self.reached.append(what)
        raise PermissionError(f"a submission may not: {what}")


def within(path: str | bytes, folders: list[str]) -> bool:
    """Whether ``path``, resolved, lies in one of ``folders``."""
    text = os.fsdecode(path)
    return any(text == folder or text.startswith(folder + os.sep) for folder in folders)
