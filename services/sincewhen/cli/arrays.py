"""FILE.npz of `sincewhen backtest` becomes a recording. What breaks a rule says the rule, the value, the way out."""

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sincewhen.processor.backtest import Recording

BAD_INPUT = 2
LAYER = "x"
_VALUE_MAX = 1e15  # its square fits float32
_AT_NS_MAX = 2**62
_STEP_MIN_NS = 1000  # between rows: nothing is faster, so times that close are of another unit
_ROUNDING_MAX = 1e-5  # of the variance of `x`: SPE sees more
_STEP_MIN = 1e-33  # of float32, down to which squares and inverses fit as well
_ROW_NS = 10**9
_NUMBERS, _NAMES = "biuf", "Uiu"  # numpy's kinds of types
_UNREADABLE = (OSError, ValueError, EOFError, MemoryError, NotImplementedError, RuntimeError, zlib.error, struct.error)
_KNOWN = ("x", "t", "lot", "confidence", "factors", "factor_names")
Floats = NDArray[np.float64]


class BadArrays(click.ClickException):
    """Files that break a rule: exit code 2."""

    exit_code = BAD_INPUT


def read_recording(file: Path, golden: int) -> Recording:
    """Read and check FILE.npz. Raises BadArrays."""
    data = _arrays(file)
    if unknown := sorted(data.keys() - _KNOWN):
        click.echo(f"Not used: {', '.join(unknown)}. Arrays that are: {', '.join(_KNOWN)}.", err=True)
    x = data.get("x")
    if x is None or x.ndim != 2 or not x.size or x.dtype.kind not in _NUMBERS:  # noqa: PLR2004 - a table
        raise BadArrays(f"`x` is a table of numbers (n, d) with n, d >= 1; got {_told(x)}: save it as x=...")
    n = len(x)
    if golden >= n:
        raise BadArrays(f"--golden is below the number of rows, {n}; got {golden}: leave rows to monitor")
    return Recording(
        layers={LAYER: _single(x, golden)},
        at_ns=_times(data["t"], n) if "t" in data else np.arange(n) * _ROW_NS,
        scalars=_scalars(data, n),
        lot=_lots(data["lot"], n) if "lot" in data else None,
        pauses="t" in data,
    )


def _single(x: NDArray[Any], golden: int) -> NDArray[np.float32]:
    """As float32, where that keeps what varies."""
    with np.errstate(over="ignore"):
        single: NDArray[np.float32] = x.astype(np.float32)
    wrong = np.flatnonzero(~(np.abs(single) <= _VALUE_MAX).all(axis=1))
    if len(wrong):
        raise BadArrays(
            f"`x` is finite and within ±{_VALUE_MAX:g}; {len(wrong)} rows are not, the first is {wrong[0]}: "
            "drop, repair or scale them"
        )
    variance = x[:golden].var(axis=0, dtype=np.float64)
    top = np.abs(single).max(axis=0)
    steps = np.maximum(np.spacing(top), _STEP_MIN).astype(np.float64)
    if np.sum(steps[variance > 0] ** 2) / 12 > _ROUNDING_MAX * variance.sum():
        raise BadArrays(
            f"`x` varies far more than float32 rounds it; got a deviation of {math.sqrt(variance.mean()):.2g} about "
            f"values of up to {top.max():.2g}, rounded to {steps.max():.2g}: subtract each column's mean, or scale `x`"
        )
    return single


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    way_out = "write it again with numpy.savez, strings as str, not object"
    if not zipfile.is_zipfile(file):
        raise BadArrays(f"{file} is a whole .npz archive; it is none, or cut off: {way_out}")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name]) for name in arrays.files}
    except (*_UNREADABLE, zipfile.BadZipFile) as error:
        raise BadArrays(f"{file} is a .npz of plain arrays; got {str(error) or repr(error)}: {way_out}") from error


def _times(values: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Epoch ns (n,)."""
    _column("t", values, n, "iuf")
    if not (np.abs(values.astype(np.float64)) < _AT_NS_MAX).all():
        raise BadArrays(f"`t` is epoch nanoseconds, finite and below 2^62; got {_span(values)}: repair it")
    at_ns = values.astype(np.int64)
    back = np.diff(at_ns) < 0
    if back.any():
        raise BadArrays(f"`t` never steps back; it does at row {int(np.argmax(back)) + 1}: sort the rows by time")
    steps = np.diff(values)
    usual_ns = float(np.median(steps[steps > 0])) if (steps > 0).any() else _STEP_MIN_NS
    if usual_ns < _STEP_MIN_NS:
        raise BadArrays(
            f"`t` is nanoseconds, rows at least {_STEP_MIN_NS} apart; got {_span(values)}, usually {usual_ns:g} apart: "
            "multiply seconds by 10^9"
        )
    return at_ns


def _lots(values: NDArray[Any], n: int) -> NDArray[np.object_]:
    _column("lot", values, n, _NAMES)
    return values.astype(str).astype(object)


def _scalars(data: dict[str, NDArray[Any]], n: int) -> dict[str, Floats]:
    """By stream; NaN = not measured."""
    scalars: dict[str, Floats] = {}
    if "confidence" in data:
        _column("confidence", data["confidence"], n, _NUMBERS)
        confidence = data["confidence"].astype(np.float64)
        if ((confidence < 0) | (confidence > 1)).any():
            raise BadArrays(f"`confidence` is in 0..1, NaN = not measured; got {_span(confidence)}: scale it")
        scalars["confidence"] = confidence
    if "factors" in data:
        factors = data["factors"]
        if factors.ndim != 2 or len(factors) != n or factors.dtype.kind not in _NUMBERS:  # noqa: PLR2004 - a table
            raise BadArrays(f"`factors` is (n, m) numbers with n = {n}; got {_told(factors)}: cut it like `x`")
        factors = factors.astype(np.float64)
        if (np.abs(factors) > _VALUE_MAX).any():
            raise BadArrays(
                f"`factors` are within ±{_VALUE_MAX:g}, NaN = not measured; got {_span(factors)}: scale them"
            )
        for index, name in enumerate(_factor_names(data, factors.shape[1])):
            scalars[f"factor:{name}"] = factors[:, index]
    return scalars


def _factor_names(data: dict[str, NDArray[Any]], m: int) -> list[str]:
    names = data.get("factor_names", np.arange(m))
    if names.shape != (m,) or names.dtype.kind not in _NAMES:
        raise BadArrays(f"`factors` is (n, m) with m names in `factor_names`; got m = {m} and {_told(names)} of names")
    found = [str(name) for name in names]
    if len(set(found)) < m:
        raise BadArrays(f"`factor_names` are different names; got {', '.join(found)[:200]}: rename them")
    return found


def _column(name: str, values: NDArray[Any], n: int, kinds: str) -> None:
    if values.shape != (n,):
        raise BadArrays(f"`{name}` has one entry a row, {n}; got shape {values.shape}: cut it like `x`")
    if values.dtype.kind not in kinds:
        what = "strings" if kinds == _NAMES else "numbers"
        way_out = f"{name}.astype('datetime64[ns]').astype('int64')" if values.dtype.kind == "M" else f"it as {what}"
        raise BadArrays(f"`{name}` is {what}; got {values.dtype}: save {way_out}")


def _told(values: NDArray[Any] | None) -> str:
    return "nothing" if values is None else f"{values.dtype} {values.shape}"


def _span(values: NDArray[Any]) -> str:
    seen = values[~np.isnan(values)]
    return f"{seen.min():g}..{seen.max():g}" if seen.size else "NaN only"
