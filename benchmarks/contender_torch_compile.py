"""PyTorch under `torch.compile`, as a contender: the functions of contender_torch, the network or the rows compiled.

Each case starts from nothing compiled, and a shape is compiled for itself; what would quietly go on uncompiled fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import contender_torch
import torch
from cases import Case
from torch import Tensor
from torch._dynamo import config as dynamo
from torch._functorch import config as functorch

VERSION = contender_torch.VERSION
compiled = partial(torch.compile, dynamic=False)
functorch.donated_buffer = False  # else Adv_Alpha's rows, which share a graph, are refused
dynamo.fail_on_recompile_limit_hit = True


def jacobian(case: Case) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """T = d alpha / dx, compiled before it is timed or weighed."""
    torch._dynamo.reset()
    call = contender_torch.stacked(case, compiled)
    call()
    return {"torch_compile": call}


def training(case: Case, method: str, steps: int) -> Callable[[], dict[str, Tensor]]:
    """A function that goes ``steps`` on and returns the parameters."""
    torch._dynamo.reset()
    return contender_torch.training(case, method, steps, compiled)
