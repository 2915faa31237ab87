"""The package's metadata; the build system and the tools' settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

NOTEBOOKS = ["jupytext>=1.16", "nbclient>=0.10", "ipykernel>=6.29", "ipywidgets>=8.1"]
COURSE = ["nbgrader>=0.9.5", "nbformat>=5.10", "jupytext>=1.16", "nbclient>=0.10", "ipykernel>=6.29"]
OPTIONAL = ["distributed>=2024.1", *NOTEBOOKS, *COURSE]  # what users may leave out and tests exercise

setup(
    name="minilwa",
    version="0.1.0",
    description="A from-scratch NumPy/CuPy engine for the paper 'Learning with Adversary', with explicit Jacobian rows",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT AND CC-BY-SA-3.0",
    license_files=["LICENSE", "minilwa/embedded/LICENSE.md"],
    packages=find_packages(include=["minilwa", "minilwa.*"]),
    package_data={"minilwa": ["py.typed", "embedded/*.npz", "embedded/*.md"]},
    python_requires=">=3.10",
    install_requires=[
        "numpy>=2.0",
        "scipy>=1.13",
        "threadpoolctl>=3.5",
        "matplotlib>=3.8",
        "tqdm>=4.66",
        "pooch>=1.8",
        "joblib>=1.4",
    ],
    extras_require={
        "test": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "autograd>=1.7", *OPTIONAL],
        "peers": ["torch>=2.3", "foolbox>=3.3.4", "adversarial-robustness-toolbox>=1.20"],
        "dev": ["ruff>=0.6", "mypy>=1.11", "mlxtend>=0.23"],
        "tutorials": ["jupyterlab>=4.2", *NOTEBOOKS],
        "course": COURSE,
        "bench": ["autograd>=1.7", "jax>=0.4.30"],
        "docs": ["sphinx>=8", "myst-nb>=1.2", "furo>=2024.8", "latex2mathml>=3.78"],
        "lite": [
            "jupyterlite-core==0.8.6",
            "jupyterlite-pyodide-kernel==0.8.6",  # runs the Pyodide that tutorials/lite/pyodide.json lists
            "jupyterlab-server>=2.27",
            "ipywidgets>=8.1",
            "packaging>=24",
            "selenium>=4.20",
        ],
        "cuda12": ["cupy-cuda12x[ctk]>=14"],  # ctk: with CUDA's libraries, so that a driver is all that it takes
        "cuda13": ["cupy-cuda13x[ctk]>=14"],
    },
    entry_points={"console_scripts": ["minilwa = minilwa.cli:main"]},
)
