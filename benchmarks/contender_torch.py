"""PyTorch, eager, as a contender: the same networks as `torch.nn` modules, the same mathematics.

``compiled`` is there for `contender_torch_compile`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from cases import METHODS, SGD, Case
from torch import Tensor, nn
from torch.func import jacrev, vmap

from minilwa import Method

VERSION = torch.__version__
DEVICES = {"cpu": "cpu", "gpu": "cuda"}
MODULES: dict[str, Callable[..., nn.Module]] = {
    "flatten": lambda w, settings: nn.Flatten(),
    "relu": lambda w, settings: nn.ReLU(),
    "tanh": lambda w, settings: nn.Tanh(),
    "max_pool": lambda w, settings: nn.MaxPool2d(settings["size"], settings["stride"]),
    "dense": lambda w, settings: nn.Linear(*w.shape),
    "conv": lambda w, settings: nn.Conv2d(w.shape[1], w.shape[0], w.shape[2], settings["stride"], settings["padding"]),
}


def logits_module(case: Case) -> nn.Sequential:
    """z as a module, with the parameters of the case's network."""
    network = case.network
    layers = list(zip(network.layers, network.parameters, strict=True))[:-1]
    module = nn.Sequential(*(MODULES[layer.name](p["w"] if p else None, layer.settings) for layer, p in layers))
    module.to(DEVICES[case.device], getattr(torch, network.dtype))
    with torch.no_grad():
        for part, (layer, p) in zip(module, layers, strict=True):
            if p:
                part.weight.copy_(torch.tensor(p["w"].T if layer.name == "dense" else p["w"]))
                part.bias.copy_(torch.tensor(p["b"].ravel()))
    return module


def jacobian(case: Case) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """T = d alpha / dx, a pass a row, and by `torch.func`."""
    module, x = logits_module(case).requires_grad_(False), torch.tensor(case.x, device=DEVICES[case.device])

    def loop():
        leaf = x.clone().requires_grad_()
        alpha = module(leaf).softmax(-1)
        rows = [torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0] for column in alpha.unbind(1)]
        return {"T": torch.stack(rows).movedim(0, 1)}

    return {"torch_loop": loop, "torch_jacrev": stacked(case)}


def stacked(case: Case, compiled: Any = lambda function: function) -> Callable[[], dict[str, Tensor]]:
    """T by ``vmap(jacrev)``."""
    module, device = logits_module(case).requires_grad_(False), DEVICES[case.device]
    parts = [torch.tensor(part, device=device) for part, _ in case.parts()]
    rows = compiled(vmap(jacrev(lambda image: module(image[None])[0].softmax(-1))))

    def call():
        found = [rows(part) for part in parts]
        return {"T": found[0] if len(found) == 1 else torch.cat(found)}

    return call


def training(
    case: Case, method: str, steps: int, compiled: Any = lambda module: module
) -> Callable[[], dict[str, Tensor]]:
    """A function that goes ``steps`` on and returns the parameters, by layer and name, in minilwa's layout."""
    layers, device = logits_module(case), DEVICES[case.device]
    module = compiled(layers)
    optimizer = torch.optim.SGD(layers.parameters(), SGD.rate, SGD.momentum, fused=True)  # its fastest
    batches = [tuple(torch.tensor(array, device=device) for array in part) for part in case.parts()]
    done = 0

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        if METHODS[method].clean:
            nn.functional.cross_entropy(module(x), y).backward()
        x_hat = x + perturbation(module, x, y, METHODS[method])
        nn.functional.cross_entropy(module(x_hat), y).backward()
        optimizer.step()

    def go_on():
        nonlocal done
        for i in range(done, done + steps):
            step(*batches[i % len(batches)])
        done += steps
        parameters = {}
        for i, part in enumerate(layers):
            if hasattr(part, "weight"):
                dense = isinstance(part, nn.Linear)
                parameters[f"{i} w"] = part.weight.detach().T if dense else part.weight.detach()
                parameters[f"{i} b"] = part.bias.detach() if dense else part.bias.detach()[:, None, None]
        return parameters

    return go_on


def perturbation(module: nn.Module, x: Tensor, y: Tensor, method: Method) -> Tensor | float:
    """r of the method, of L2 length ``method.radius``; Adv_Alpha by the stable form of Algorithm 1 with all rows."""
    if method.along is None:
        return 0.0
    v = adv_alpha(module, x, y) if method.along == "adv_alpha" else adv_loss(module, x, y)
    v = v.sign() if method.along == "adv_loss_sign" else v
    return method.radius * v / v.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]


def adv_loss(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    z = module(leaf)
    label = nn.functional.one_hot(y, z.shape[1])
    others = z.detach().masked_fill(label.bool(), -torch.inf).softmax(1)
    return torch.autograd.grad(z, leaf, others - label)[0]


def adv_alpha(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    z = module(leaf)
    rows = [torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0] for column in z.unbind(1)]
    z, J = z.detach(), torch.stack(rows).movedim(0, 1)  # (N, K), (N, K, *shape)
    best, predicted = z.max(1)
    samples, wrong = torch.arange(len(z), device=z.device), predicted != y
    D = (J - J[samples, predicted][:, None]).flatten(2)
    at_predicted = nn.functional.one_hot(predicted, z.shape[1]).bool()
    pi = z.masked_fill(at_predicted, -torch.inf).softmax(1)
    delta = -z.softmax(1)[samples, predicted][:, None] * torch.expm1(z - best[:, None])
    G = torch.einsum("nk,nkd->nd", pi, D)
    v = delta[..., None] * G[:, None] + pi[..., None] * D
    ratio = torch.where(delta > 0, v.norm(dim=2) / delta, torch.inf).masked_fill(at_predicted, -torch.inf)
    chosen = torch.where(wrong, y, ratio.argmax(1))  # a mistaken sample is pushed on, away from its label
    return torch.where(wrong, -1, 1)[:, None, None, None] * v[samples, chosen].reshape(x.shape)
