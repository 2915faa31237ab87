"""The package's metadata; the build system and the tools' settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

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
        "test": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "autograd>=1.7", "distributed>=2024.1"],
        "dev": ["ruff>=0.6", "mypy>=1.11", "mlxtend>=0.23"],
        "bench": ["autograd>=1.7", "jax>=0.4.30"],
        "cuda12": ["cupy-cuda12x>=13.3"],
        "cuda13": ["cupy-cuda13x>=13.6"],
    },
    entry_points={"console_scripts": ["minilwa = minilwa.cli:main"]},
)
