"""Rows of delay, run length, ramps and scale."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from benchmarks.book import NONE, Book, Row, at_least, at_most, exact, mean_of, number, row, said, total
from benchmarks.race import AFTER_MAX, DIMS, OF_TRUTH
from benchmarks.spread import Spread, bootstrap, run_length
from benchmarks.streams import KINDS
from benchmarks.subjects.arl import FEW_GOLDEN, FEW_LATENT
from benchmarks.subjects.ramps import SLOPES
from benchmarks.subjects.shared import OWN, POOLED
from benchmarks.thresholds import Delays, delays, realised, threshold

ARL0 = 1e4
NOMINAL = math.log(ARL0)
SIZES = (1.0, 2.0, 3.0)
_BLIND, _KNOWN = (95.0, 23.0, 11.0), (35.0, 11.0, 6.0)  # targets at Z >= ARL0
_OFF, _IN = 1.5, (2.2, 2.5, 2.8)  # targets as multiples of a line, at equal realised ARL
_RAMP, _SCALE = 1.3, 1.25


def rows(book: Book) -> Iterator[Row]:
    for size, target in zip(SIZES, _BLIND, strict=True):
        yield _nominal(book, "delay", "off", size, "blind", "line of size", target)
    for size, target in zip(SIZES, _KNOWN, strict=True):
        yield _nominal(book, "delay", "in", size, "library", "line", target)
    for size in SIZES:
        yield _equal(book, "delay", "off", size, "library + scale", "line of size", _OFF)
    yield from (_no_worse(book, size) for size in SIZES)
    for size, most in zip(SIZES, _IN, strict=True):
        yield _equal(book, "delay", "in", size, "library + scale", "line", most)
    for slope in SLOPES:
        yield _against(book, "ramps", "in ramp linear", slope, "library", "line", _RAMP)
        yield _equal(book, "ramps", "in ramp linear", slope, "library", "line", _RAMP)
    for factor in (1.05, 1.15):
        yield _against(book, "ramps", "scale", factor, "scale", "line", _SCALE)
        yield _equal(book, "ramps", "scale", factor, "scale", "line", _SCALE)
    yield from _run_lengths(book)


def of(
    book: Book,
    subject: str,
    change: str,
    size: float,
    method: str,
    limit: float,
    kind: str = "ar 0",
    dims: int = DIMS,
) -> Delays:
    found = book.of(subject, change=change, size=size, method=method, kind=kind, dims=dims)
    return delays(found, limit, AFTER_MAX)


def limit_of(book: Book, method: str, change: str, size: float, kind: str = "ar 0") -> float:
    """The threshold of a realised run length of ARL0."""
    if method not in OF_TRUTH:
        change, size = ("class mix" if change == "class mix" else "off"), 0.0
    else:
        change = _seen_by_lines(change)
    return threshold(book.of("calm", kind=kind, method=method, change=change, size=size), ARL0)


def _seen_by_lines(change: str) -> str:
    """To a line that knows the direction any is as good as another."""
    return "off" if change == "in" else change.removeprefix("in ")


def _lined(book: Book, subject: str, change: str, size: float, line: str) -> Spread:
    """A line's mean delay at its own threshold."""
    seen = _seen_by_lines(change)
    return mean_of(of(book, subject, seen, size, line, limit_of(book, line, seen, size)).parts)


def _row(quantity: str, line: Spread, ours: Delays, target: float, most: str) -> Row:
    spread = mean_of(ours.parts)
    runs = f"{sum(map(len, ours.parts))}, {ours.missed} missed, {ours.early} early"
    met = at_most(spread, target) if not math.isnan(target) else NONE
    return row(quantity, spread, runs, most, met, peer=line.value)


def _nominal(book: Book, subject: str, change: str, size: float, method: str, line: str, target: float) -> Row:
    where = "off library" if change == "off" else "in library, cosine .9"
    quantity = f"delay at Z ≥ 10⁴, {method}, {where}, displacement {size:g} (frames)"
    lined = _lined(book, subject, change, size, line)
    return _row(quantity, lined, of(book, subject, change, size, method, NOMINAL), target, f"≤ {target:g}")


def _against(book: Book, subject: str, change: str, size: float, method: str, line: str, most: float) -> Row:
    lined = _lined(book, subject, change, size, line)
    quantity = f"{_named(change, size)} at Z ≥ 10⁴, {method} (frames)"
    return _row(
        quantity, lined, of(book, subject, change, size, method, NOMINAL), most * lined.value, f"≤ {most:g}× the line"
    )


def _equal(book: Book, subject: str, change: str, size: float, method: str, line: str, most: float) -> Row:
    lined, limit = _lined(book, subject, change, size, line), limit_of(book, method, change, size)
    quantity = f"{_named(change, size)} at realised ARL 10⁴, {method} (frames)"
    return _row(
        quantity, lined, of(book, subject, change, size, method, limit), most * lined.value, f"≤ {most:g}× the line"
    )


def _no_worse(book: Book, size: float) -> Row:
    bank = mean_of(of(book, "delay", "off", size, "mewma", limit_of(book, "mewma", "off", size)).parts)
    ours = of(book, "delay", "off", size, "library + scale", limit_of(book, "library + scale", "off", size))
    quantity = f"step {size:g} off library at realised ARL 10⁴ against the MEWMA bank (frames)"
    return _row(quantity, bank, ours, bank.value, "no worse than the bank")


def _named(change: str, size: float) -> str:
    names = {"off": "step {} off library", "in": "step {} in library", "scale": "scale ×{}", "sparse": "sparse step {}"}
    where = ", in library" if change.startswith("in ") else ""
    return names.get(change, f"{change.removeprefix('in ')} {{}} a frame{where}").format(f"{size:g}")


_LEVELS = {
    "stream": "one stream",
    "product": "the whole product",
    "few": f"the whole product, {FEW_LATENT} things vary, {FEW_GOLDEN[0]:,} to {FEW_GOLDEN[-1]:,} golden frames",
}


def _run_lengths(book: Book) -> Iterator[Row]:
    """Realised over target; peers: the MEWMA bank at a limit for independent frames."""
    for method in ("blind", "library", "library + scale"):
        alarms, frames = realised(book.of("calm", method=method, change="off", kind="ar 0"), NOMINAL)
        if frames:
            yield _length(f"realised / target ARL0, {method}, d=128, independent frames", alarms, frames, "", 1.0)
    for level, name in _LEVELS.items():
        for kind in KINDS:
            found = book.of("arl", level=level, kind=kind)
            if not found:
                continue
            bank = book.of("arl", level="mewma", kind=kind)
            peer = run_length(total(bank, "alarms"), total(bank, "frames"), ARL0).value if bank else math.nan
            yield _length(
                f"realised / target ARL0, {name}, {kind}",
                total(found, "alarms"),
                total(found, "frames"),
                peer,
                0.5,
            )


def _length(quantity: str, alarms: float, frames: float, peer: float | str, least: float) -> Row:
    spread = run_length(alarms, frames, ARL0) if frames else exact(math.nan)
    runs = f"{alarms:.0f} alarms in {frames / ARL0:.0f} × 10⁴ frames"
    return row(quantity, spread, runs, f"≥ {least:g}", at_least(spread, least), peer=peer)


def details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    """Every race: mean delays at both thresholds."""
    for subject, title in (
        ("delay", f"Delay of steps, frames; a miss counts as {AFTER_MAX}"),
        ("ramps", f"Changes that are no step, d = {DIMS}, frames; a miss counts as {AFTER_MAX}"),
    ):
        seen = sorted(
            {
                (c.get("kind", str), c.get("dims", int), c.get("change", str), c.get("size", float))
                for f in book.of(subject)
                for c in (f.cell,)
            }
        )
        methods = list(dict.fromkeys(item.cell.get("method", str) for item in book.of(subject)))
        table = [["noise", "d", "change", "threshold", *methods]]
        for kind, dims, change, size in seen:
            for name in ("Z ≥ 10⁴", "realised 10⁴"):
                cells = [
                    _cell(book, subject, change, size, method, kind, dims, nominal=name.startswith("Z"))
                    for method in methods
                ]
                if any(cells):
                    table.append([kind, str(dims), f"{change} {size:g}" if size else change, name, *cells])
        if len(table) > 1:
            yield title, table
    yield from _arl_details(book)
    yield from _shared_details(book)


def _cell(
    book: Book, subject: str, change: str, size: float, method: str, kind: str, dims: int, *, nominal: bool
) -> str:
    if nominal and method in {"mewma", "ocd", *OF_TRUTH}:
        return ""
    limit = NOMINAL if nominal else math.nan if dims != DIMS else limit_of(book, method, change, size, kind)
    kept = of(book, subject, change, size, method, limit, kind, dims)
    if not any(map(len, kept.parts)) or math.isnan(limit):
        return ""
    spread, runs = mean_of(kept.parts), sum(map(len, kept.parts))
    missed = f", {kept.missed} of {runs} missed" if kept.missed else ""
    return f"{number(spread.value)} ({said(spread)}){missed}"


def _arl_details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    table = [["what", "frames", "d", "realised / target", "90 %", "alarms", "10⁴ frames", "refused, golden frames"]]
    for known in sorted({f.cell.params for f in book.of("arl")}):
        params = dict(known)
        found = book.of("arl", **params)
        alarms, frames = total(found, "alarms"), total(found, "frames")
        spread = run_length(alarms, frames, ARL0) if frames else exact(math.nan)
        learned = [
            f"{item.figures['refused'][0]:.0f}, {max(item.figures['golden'], default=0):.0f}"
            for item in found
            if "golden" in item.figures
        ]
        told = "; ".join(sorted(set(learned)))
        what = [_LEVELS.get(str(params["level"]), str(params["level"])), str(params["kind"]), str(params["dims"])]
        table.append([*what, number(spread.value), said(spread), f"{alarms:.0f}", number(frames / ARL0), told])
    if len(table) > 1:
        yield "Realised ARL0 over its target of 10,000", table


def _shared_details(book: Book) -> Iterator[tuple[str, list[list[str]]]]:
    """Of all products: what a basis explains of what the own one does, delay over the own one's, alarms beside its."""
    own = {found.cell.get("product", str): found.figures for found in book.of("shared", basis=OWN)}
    others = [found for found in book.of("shared") if found.cell.get("basis", str) != OWN]
    layers = sorted({name.removesuffix(" share") for found in others for name in found.figures if "share" in name})
    table = [["basis", "layer", "pairs", "explained", "delay / own", "90 %", "alarms", "of the own"]]
    for what, layer in itertools.product((POOLED, "another's"), layers):
        kept = [f for f in others if (f.cell.get("basis", str) == POOLED) == (what == POOLED)]
        pairs = [(f.figures, own[f.cell.get("product", str)]) for f in kept if f.cell.get("product", str) in own]
        logs = [np.log(np.array(a[f"{layer} delay"]) / b[f"{layer} delay"]) for a, b in pairs]
        spread = bootstrap(logs, lambda values: float(np.exp(values.mean())))
        shares = [number(float(pick([a[f"{layer} share"][0] for a, _ in pairs]))) for pick in (np.min, np.max)]
        alarms = [f"{sum(side[f'{layer} alarms'][0] for side in sides):.0f}" for sides in zip(*pairs, strict=True)]
        table.append([what, layer, str(len(pairs)), " to ".join(shares), number(spread.value), said(spread), *alarms])
    if others:
        yield "Within a common basis against the own, real pictures", table
