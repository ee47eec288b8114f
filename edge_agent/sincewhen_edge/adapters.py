"""A model's output becomes decision and confidence, one row a frame.

auto            mapping of plain values, str or float: as `values`; list of detections: as `detections`; array (N, C) or
                (C,): `probabilities` where every row is within 0..1 and sums to 1, else `logits`
logits          softmax; one column: sigmoid of "class 1"
probabilities   decision = likeliest class, confidence = its probability
detections      per image boxes, labels, scores (torchvision's form): decision = the labels at or above
                `detection_score_min`, sorted, joined by "+", or "none"; confidence = the mean of their scores
values          {"decision": ..., "confidence": ...} or one of the two alone
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sincewhen_edge.settings import ModelSettings
from sincewhen_edge.tensors import Value

_SUM_TOLERANCE = 1e-3
_ARRAY_DIMS = 2


@dataclass(slots=True)
class Judged:
    """n rows of what the model decided. Missing: "" and NaN."""

    decision: list[str]
    confidence: NDArray[np.float64]  # (n,)
    scores: NDArray[np.float64] | None = None  # (n, classes)
    classes: tuple[str, ...] = field(default=())


def judge(output: Value, model: ModelSettings) -> Judged:
    """Adapt one settled output (numpy, lists, mappings, plain values). Raises ValueError where it has no known form."""
    if isinstance(output, str | float | int | np.floating) and model.output in {"auto", "values"}:
        return _values(output)
    if isinstance(output, Mapping):
        if "scores" in output:
            return _detections([output], model)
        if model.output in {"auto", "values"} and ("decision" in output or "confidence" in output):
            return _values(output)
        if "logits" in output:
            return _array(np.asarray(output["logits"]), model)
    if isinstance(output, list):
        if model.output == "detections" or (output and isinstance(output[0], Mapping)):
            return _detections(output, model)
        if output and isinstance(output[0], np.ndarray):
            return judge(output[0], model)
    if isinstance(output, np.ndarray) and output.ndim in {1, _ARRAY_DIMS} and output.dtype.kind in "fiu":
        return _array(output, model)
    raise ValueError(
        f"an output is logits (N, C), a list of detections, or decision and confidence; got {type(output).__name__}: "
        "pass observe(output={'decision': ..., 'confidence': ...})"
    )


def _values(output: Value) -> Judged:
    if isinstance(output, str):
        output = {"decision": output}
    elif not isinstance(output, Mapping):
        output = {"confidence": output}
    decision = output.get("decision")
    confidence = float(output.get("confidence", math.nan))
    if not (math.isnan(confidence) or 0 <= confidence <= 1):
        raise ValueError(f"confidence is 0..1; got {confidence}: scale it, or give it as a signal")
    return Judged(["" if decision is None else str(decision)], np.array([confidence]))


def _array(output: NDArray[np.generic], model: ModelSettings) -> Judged:
    rows = np.atleast_2d(output.astype(np.float64))
    kind = model.output
    if kind in {"auto", "values", "detections"}:
        sums = np.abs(rows.sum(axis=1) - 1) <= _SUM_TOLERANCE
        kind = "probabilities" if rows.shape[1] > 1 and bool((sums & (rows >= 0).all(axis=1)).all()) else "logits"
    probabilities = _softmax(rows) if kind == "logits" else rows
    if probabilities.shape[1] == 1:
        probabilities = np.hstack([1 - probabilities, probabilities])
    classes = model.classes
    if len(classes) != probabilities.shape[1]:
        classes = tuple(str(number) for number in range(probabilities.shape[1]))
    known = np.asarray(np.isfinite(probabilities).all(axis=1))
    best = np.where(known, probabilities.argmax(axis=1), 0)
    confidence = np.where(known, np.clip(probabilities[np.arange(len(rows)), best], 0, 1), math.nan)
    decision = [classes[number] if ok else "" for number, ok in zip(best, known, strict=True)]
    return Judged(decision, confidence, np.where(known[:, None], probabilities, math.nan), classes)


def _softmax(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        if rows.shape[1] == 1:
            return np.asarray(1 / (1 + np.exp(-rows)))
        grown = np.exp(rows - rows.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def _detections(images: list[Mapping[str, Value]], model: ModelSettings) -> Judged:
    decision, confidence = [], []
    for image in images:
        scores = np.asarray(image.get("scores", []), np.float64).reshape(-1)
        labels = np.asarray(image.get("labels", []), object).reshape(-1)
        if len(labels) != len(scores):
            raise ValueError(f"a detection has a label and a score; got {len(labels)} labels, {len(scores)} scores")
        kept = scores >= model.detection_score_min
        names = sorted({_label(label, model.classes) for label in labels[kept]})
        decision.append("+".join(names) or "none")
        confidence.append(float(np.clip(scores[kept].mean(), 0, 1)) if kept.any() else math.nan)
    return Judged(decision, np.array(confidence))


def _label(label: object, classes: tuple[str, ...]) -> str:
    if isinstance(label, int | np.integer) and 0 <= int(label) < len(classes):
        return classes[int(label)]
    return str(label)
