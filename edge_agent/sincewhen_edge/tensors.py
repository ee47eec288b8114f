"""Values of the host's model, taken on the host's thread without waiting, read later by the worker.

`hold` starts the copy of every tensor to pinned memory and records an event; `settle` waits for it on the worker's
thread and gives numpy. A tensor on the CPU is copied at once, because the host may write into it again. torch is never
imported here: where the host has not, nothing can be a tensor.
"""

import sys
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Value: TypeAlias = Any  # whatever the host's model gives
_DEPTH_MAX = 4


@dataclass(frozen=True, slots=True)
class Held:
    """A copy that may still be under way."""

    values: Value  # torch.Tensor on the CPU
    copied: Value | None  # torch.cuda.Event


def is_tensor(value: Value) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def hold(value: Value, depth: int = 0) -> Value:
    """The same structure with every tensor held; what is no tensor, list, tuple or mapping is passed on."""
    if is_tensor(value):
        return _held(value.detach())
    if depth >= _DEPTH_MAX:
        return value
    if isinstance(value, dict):
        return {name: hold(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [hold(item, depth + 1) for item in value]
    if isinstance(value, np.ndarray):
        return value.copy()
    return value


def settle(value: Value) -> Value:
    """The same structure with numpy arrays instead of what was held."""
    if isinstance(value, Held):
        if value.copied is not None:
            value.copied.synchronize()
        return value.values.numpy()
    if isinstance(value, dict):
        return {name: settle(item) for name, item in value.items()}
    if isinstance(value, list):
        return [settle(item) for item in value]
    return value


def _held(tensor: Value) -> Held:
    torch = sys.modules["torch"]
    if tensor.dtype in (torch.bfloat16, torch.float64):
        tensor = tensor.float()
    if tensor.device.type != "cuda":
        return Held(tensor.to("cpu", copy=True), None)
    values = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    values.copy_(tensor, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(tensor.device))
    return Held(values, copied)
