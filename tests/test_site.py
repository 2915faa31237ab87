"""The pages: formulas in docstrings are found and nothing else, every public name has one place, no warnings."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import minilwa

SITE = Path(__file__).parent.parent / "tutorials" / "site"
sys.path.insert(0, str(SITE))

import docstrings  # noqa: E402
import pages  # noqa: E402


def full_name(name):
    value = getattr(minilwa, name)
    return "minilwa.methods.METHODS" if value is minilwa.METHODS else f"{value.__module__}.{value.__qualname__}"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("the minimal r_(j) with <a_j, r> >= delta_j", [r"r_{(j)}", r"\langle a_{j}, r \rangle  \ge  \delta_{j}"]),
        ("nearest class and r*_(I) of it", [r"r^*_{(I)}"]),
        ("T = d alpha / dx ``(N, K)``", [r"T = \partial \alpha / \partial x"]),
        ("||v||_* = max of", [r"\|v\|_*"]),
        ("a_j = s (delta_j G + pi_j D_j), so", [r"a_{j} = s (\delta_{j} G + \pi_{j} D_{j})"]),
        ("log(delta_j / ||a_j||_*): -inf", [r"\operatorname{log}(\delta_{j} / \|a_{j}\|_*)"]),
        ("steepest ascent of a loss, in L2 and 28x28 pixels, at 2 of 3", []),
        ("A sample, e.g. ``x_test``, `adv_loss` or L-BFGS; Adv_Loss_Sign; f's", []),
    ],
)
def test_formulas_in_plain_text(text, latex):
    assert re.findall(r":math:`(.+?)`", docstrings.rst(text)) == latex


def test_names_become_links_and_the_rest_means_itself():
    from minilwa import directions

    text = docstrings.rst("`lazy_algorithm_1`, `perturbation`, `TOGETHER`, *args and |pipes|", directions)
    assert ":py:obj:`lazy_algorithm_1 <minilwa.lazy.lazy_algorithm_1>`" in text
    assert ":py:obj:`perturbation <minilwa.directions.perturbation>`" in text
    assert r"``TOGETHER``, \*args and \|pipes\|" in text


def test_every_public_name_is_listed_once():
    listed = re.findall(r"\{py:obj\}`(?:\w+ <|~)([\w.]+)>?`", (SITE / "api/index.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(full_name(name) for name in minilwa.__all__)


def test_every_module_has_one_place():
    comments = [text for page in SITE.glob("api/*.md") for text in pages.MODULES.findall(page.read_text("utf-8"))]
    assert sorted(name for text in comments for name in pages.chosen(text)) == sorted(pages.modules())


def test_parts_end_where_the_next_heading_begins_and_not_in_code():
    part = pages.part("README.md", "The API on one page")
    assert part.count("```python") == 7
    assert "\n#" not in re.sub(r"```.*?```", "", part, flags=re.DOTALL)
    assert "a<sub>j</sub> = T<sub>j</sub>" in pages.part("README.md", "Where the print is wrong")
    assert "<sub>" not in part
    with pytest.raises(ValueError, match="no section called"):
        pages.part("README.md", "Nothing")


def test_links_of_the_readme_lead_to_pages():
    mapped = pages.part("README.md", "From the paper to the code")
    assert "{py:mod}`norms.py <minilwa.norms>`" in mapped
    assert "](minilwa" not in mapped
    assert "![Time over the number of classes](../../benchmarks/" in pages.part("README.md", "What it costs")
    assert "[benchmarks/README.md](/benchmarks.md)" in pages.part("README.md", "What it costs")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    for module in ("sphinx", "myst_nb", "furo", "latex2mathml"):
        pytest.importorskip(module, reason='needs pip install -e ".[docs]"')
    out = tmp_path_factory.mktemp("pages")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(out / "trees"), str(SITE)]
    result = subprocess.run([*command, str(out / "html")], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return out / "html"


def test_the_pages_build_without_warnings_and_name_everything_once(built):
    pages_of_api = "".join(path.read_text(encoding="utf-8") for path in built.glob("api/*.html"))
    for name in minilwa.__all__:
        assert pages_of_api.count(f' id="{full_name(name)}"') == 1


def test_the_pages_need_no_network(built):
    text = "".join(path.read_text(encoding="utf-8") for path in built.rglob("*.html"))
    assert re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(?:https?:)?//[^"]+', text) == []
    assert "<math" in text
    assert (built / "searchindex.js").exists()


def test_an_unknown_command_is_told(built):
    import mathml

    with pytest.raises(ValueError, match="nosuch"):
        mathml.mathml(r"a \nosuch b", False)
    assert "\N{MATHEMATICAL SCRIPT CAPITAL N}" in mathml.mathml(r"\mathcal N(x)", False)
