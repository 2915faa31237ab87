"""PyTorch under `torch.compile`, as a contender: the functions of contender_torch, the network or the rows compiled."""

from __future__ import annotations

from collections.abc import Callable

import contender_torch
import torch
from cases import Case
from torch import Tensor
from torch._functorch import config

VERSION = contender_torch.VERSION
config.donated_buffer = False  # else Adv_Alpha's rows, which share a graph, are refused


def jacobian(case: Case) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """T = d alpha / dx."""
    return {"torch_compile": contender_torch.stacked(case, torch.compile)}


def training(case: Case, method: str, steps: int) -> Callable[[], dict[str, Tensor]]:
    """A function that goes ``steps`` on and returns the parameters."""
    return contender_torch.training(case, method, steps, torch.compile)
