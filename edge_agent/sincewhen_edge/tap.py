"""Pooled embeddings from a running torch model, by forward hooks.

A hook pools on the model's own device, starts the copy and returns; it never waits, and nothing it raises reaches the
model. What one forward pass gave is taken by the next `observe` of the same thread.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sincewhen_edge.tensors import Value, hold, is_tensor

Module: TypeAlias = Any  # torch.nn.Module
_NAMES_SHOWN = 40
_SPATIAL_DIMS = {3: (1,), 4: (2, 3), 5: (2, 3, 4)}  # tokens (N, T, C); maps (N, C, H, W); volumes (N, C, D, H, W)


class Tap:
    """The hooks of one or more models."""

    def __init__(self, dropped: Callable[[str], None]) -> None:
        self._dropped = dropped
        self._local = threading.local()
        self._handles: list[Any] = []

    def watch(self, model: Module, layers: Mapping[str, Module | str]) -> None:
        """Hook each layer: a module of the model, or its dotted name. Raises ValueError listing the names there are."""
        modules = dict(model.named_modules())
        chosen = {name: _module(modules, layer) for name, layer in layers.items()}
        for name, module in chosen.items():
            self._handles.append(module.register_forward_hook(self._hook(name)))

    def take(self) -> dict[str, Value]:
        """What this thread's last forward pass gave, by layer, held (N, C) each; empty when it was taken before."""
        found: dict[str, Value] = getattr(self._local, "layers", {})
        self._local.layers = {}
        return found

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, name: str) -> Callable[[Module, object, Value], None]:
        def hook(_module: Module, _inputs: object, output: Value) -> None:
            try:
                if not hasattr(self._local, "layers"):
                    self._local.layers = {}
                self._local.layers[name] = hold(pooled(output))
            except Exception:  # noqa: BLE001 - the host's boundary: its model runs on whatever happens to us
                self._dropped("layer_unreadable")

        return hook


def pooled(output: Value) -> Value:
    """(N, C) out of a layer's output: mean over positions of a map or of tokens; the first tensor of a tuple."""
    while isinstance(output, list | tuple):
        output = output[0]
    if not is_tensor(output):
        raise TypeError(f"a layer's output is a tensor; got {type(output).__name__}")
    output = output.detach()
    if not output.is_floating_point():
        output = output.float()
    axes = _SPATIAL_DIMS.get(output.dim())
    return output if axes is None else output.mean(dim=axes)


def _module(modules: Mapping[str, Module], layer: Module | str) -> Module:
    if not isinstance(layer, str):
        if any(layer is module for module in modules.values()):
            return layer
        raise ValueError(f"a layer is a module of the watched model; {type(layer).__name__} is not one of its modules")
    if layer in modules and layer:
        return modules[layer]
    names = [name for name in modules if name]
    more = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    raise ValueError(
        f"the model has no layer {layer!r}; there are: {', '.join(names[:_NAMES_SHOWN])}{more} (model.named_modules())"
    )
