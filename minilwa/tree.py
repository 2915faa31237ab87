"""Nested tuples, lists and dicts of arrays, seen as a flat list of leaves: how parameters travel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tree = Any  # an array, or a tuple, list or dict of trees


def leaves(tree: Tree) -> list[Any]:
    """The leaves of ``tree`` from left to right (dicts in the order of their keys)."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, (tuple, list)):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [tree]


def tree_map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """``function`` applied leaf by leaf; ``others`` have the structure of ``tree``, which the result keeps."""
    if isinstance(tree, dict):
        return {key: tree_map(function, tree[key], *(other[key] for other in others)) for key in sorted(tree)}
    if isinstance(tree, (tuple, list)):
        mapped = [tree_map(function, *branches) for branches in zip(tree, *others, strict=True)]
        return type(tree)(*mapped) if hasattr(tree, "_fields") else type(tree)(mapped)  # a named tuple takes each
    return function(tree, *others)
