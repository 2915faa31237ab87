"""Try the site in headless Chromium with no network but the package indexes: what of Pyodide they hold, it carries.

The core of Pyodide is an npm package, and the packages of its distribution that are pure Python are on PyPI in the
same versions. So the site boots, lists the notebooks, and starts a kernel that installs wheels; NumPy, SciPy and
matplotlib for WebAssembly are on neither, and what needs them is out of reach here.

usage: python tutorials/lite/browser.py [FOLDER]    (FOLDER: keeps the site and pictures of it)

Needs npm, chromium, chromedriver, and pip install -e ".[lite]".
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import build
import pyodide_list
import wheels

STARTS_WITH = ("micropip", "ipython", "jedi", "requests", "platformdirs", "packaging")  # the last three: for pooch
PATIENCE = 120  # seconds
CHECKS = {  # code for the kernel -> what it prints
    "import sys; print(sys.platform, sys.version_info >= (3, 12))": "emscripten True",
    "%pip install -q pooch\nimport pooch; print(pooch.__name__, 'imported')": "pooch imported",
    "import piplite; await piplite.install('minilwa', deps=False)\n"
    "from importlib.metadata import distribution\n"
    "print(distribution('minilwa').locate_file('minilwa/embedded/mnist5k.npz').stat().st_size, 'bytes')": (
        f"{(wheels.CLONE / 'minilwa/embedded/mnist5k.npz').stat().st_size} bytes"
    ),
    "from pathlib import Path; print(Path('check.py').exists())": "True",
    "%pip install -q ipywidgets\nimport ipywidgets; ipywidgets.IntSlider(7, description='radius')": "radius",
}


def main() -> None:
    """Build the site with what can be had of Pyodide, and go through it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if sys.argv[1:] else temporary).resolve()
        build.build(folder / "site", distribution(folder / "pyodide"))
        handler = functools.partial(QuietHandler, directory=folder / "site")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try_site(f"http://127.0.0.1:{server.server_port}", folder)
            server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def distribution(folder: Path) -> Path:
    """As much of Pyodide's distribution as the package indexes hold, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    version = pyodide_list.read().version
    packed = subprocess.run(
        ["npm", "pack", "--silent", f"pyodide@{version}"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    with tarfile.open(folder / packed) as archive:
        for member in archive.getmembers():
            member.name = Path(member.name).name  # without npm's folder
            archive.extract(member, folder, filter="data")
    (folder / packed).unlink()
    lock = folder / "pyodide-lock.json"
    content = json.loads(lock.read_text(encoding="utf-8"))
    pure = ["--no-deps", "--only-binary=:all:", "--platform=any", f"--python-version={content['info']['python']}"]
    for name in closure(content["packages"], STARTS_WITH):
        package = content["packages"][name]
        wheels.pip("download", *pure, "--dest", str(folder), f"{name}=={package['version']}")
        stem = f"{package['name']}-{package['version']}".replace("-", "_").lower()
        (wheel,) = [p for p in folder.glob("*.whl") if p.name.replace("-", "_").lower().startswith(stem)]
        # Pyodide's own wheels lack tests and the like: the lock must know the ones that lie here
        package |= {"file_name": wheel.name, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    lock.write_text(json.dumps(content), encoding="utf-8")
    return folder


def closure(packages: dict, names: tuple[str, ...]) -> set[str]:
    """``names`` with all that they depend on."""
    found, todo = set(), list(names)
    while todo:
        if (name := todo.pop().lower().replace("_", "-")) not in found:
            found.add(name)
            todo += packages[name]["depends"]
    return found


def try_site(address: str, folder: Path) -> None:
    """Open the site's pages, look at what they show, leave pictures of them in ``folder``."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1280,900")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        notebooks = [path.name for path in build.tutorials() if path.suffix == ".ipynb"]
        driver.get(f"{address}/lab/index.html")
        wait(driver, lambda: all(name in page(driver) for name in notebooks), "the list of notebooks")
        driver.save_screenshot(str(folder / "lab.png"))
        print(f"ok    the site boots and lists {len(notebooks)} notebooks")
        driver.get(f"{address}/notebooks/index.html?path={notebooks[0]}")
        wait(driver, lambda: "%pip install -q minilwa" in page(driver), notebooks[0])
        driver.save_screenshot(str(folder / "notebook.png"))
        print(f"ok    {notebooks[0]} opens")
        for code, expected in CHECKS.items():
            driver.get(f"{address}/repl/index.html?kernel=python&execute=1&code={urllib.parse.quote(code)}")
            wait(driver, functools.partial(lambda text: text in outputs(driver), expected), code)
            print("ok    " + code.replace("\n", "; "))
        driver.save_screenshot(str(folder / "kernel.png"))
    finally:
        driver.quit()


def page(driver) -> str:
    """The text that a page shows."""
    return driver.execute_script("return document.body.innerText")


def outputs(driver) -> str:
    """What the kernel's cells printed."""
    script = "return [...document.querySelectorAll('.jp-OutputArea-output')].map(e => e.innerText).join('\\n')"
    return driver.execute_script(script)


def wait(driver, reached: Callable[[], bool], what: str) -> None:
    """Until ``reached``, or SystemExit with what the page shows instead."""
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.support.ui import WebDriverWait

    try:
        WebDriverWait(driver, PATIENCE).until(lambda _: reached())
    except TimeoutException:
        raise SystemExit(f"waited {PATIENCE} s in vain for {what}\n{page(driver)}") from None


if __name__ == "__main__":
    main()
