"""The common bases that a new profile is measured within: those of the model version's other profiles, or pooled anew.

Of the bases that views are measured by now, the one pooled over most stations that explains the new golden frames is
taken. Where none does, one is pooled over the golden frames of all stations of the version, as far as the store still
has them; where that does not explain these frames either, they get a basis of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from sincewhen.backend.backend import Backend
from sincewhen.processor.learn import BASIS_SHARE
from sincewhen.profiles.embedding import Common
from sincewhen.profiles.fit import DIMS_MAX, dims_max
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.pooling import EXPLAINED_MIN, ROWS_MAX, Embeddings, explained_share, pooled
from sincewhen.profiles.profile import Profile
from sincewhen.store import read

STATIONS_MAX = 16  # that a basis is pooled over
TRIED_MAX = 8  # bases in use: each takes seconds where a layer is wide
_NAMED_MAX = 5  # views that a warning names


@dataclass(slots=True)
class Bases:
    """By layer; and what can't be compared with which views until when."""

    common: dict[str, Common] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def common_bases(backend: Backend, golden: Golden, station: str, view: str, version: str) -> Bases:
    """For a profile of these golden frames of that view and model version."""
    found = Bases()
    others = _measured(backend, version)
    basis_frames = int(golden.n * BASIS_SHARE)
    for layer, x in golden.layers.items():
        known = [profile for profile in others if _width(profile, layer) == x.shape[1]]
        if not known or not np.ptp(x, axis=0).any():
            continue
        first, rest = x[:basis_frames], x[basis_frames:]
        elsewhere = [profile for profile in known if (profile.station_id, profile.view) != (station, view)]
        shares = [0.0]
        for tried in chain(_in_use(known, layer), _pool(backend, elsewhere, layer, first)):
            shares.append(explained_share(tried, first, rest, dims_max(basis_frames)))
            if shares[-1] >= EXPLAINED_MIN:
                found.common[layer] = tried
                break
        found.warnings += _warnings(layer, found.common.get(layer), shares, elsewhere)
    return found


def _measured(backend: Backend, version: str) -> list[Profile]:
    """The profile of each view of a model version: the active one, else the newest; active ones first."""
    active = {status.profile_sha for status in backend.known.stations()}
    newest: dict[tuple[str, str], tuple[bool, int, str]] = {}
    for sha in backend.profiles.shas():
        try:
            profile = backend.profiles.of(sha)
        except ValueError:  # of an older release
            continue
        place, rank = (profile.station_id, profile.view), (sha in active, profile.golden_until_ns, sha)
        if profile.model_version == version and rank > newest.get(place, (False, 0, "")):
            newest[place] = rank
    ordered = sorted(newest.items(), key=lambda item: (not item[1][0], item[0]))
    return [backend.profiles.of(sha) for _, (_, _, sha) in ordered]


def _width(profile: Profile, layer: str) -> int:
    return len(profile.layers[layer].basis.center) if layer in profile.layers else 0


def _in_use(profiles: Sequence[Profile], layer: str) -> list[Common]:
    """Each basis once, TRIED_MAX at most: pooled over most stations first, then used by most views."""
    used = [profile.layers[layer].basis.common for profile in profiles]
    addresses = [common.sha for common in used]
    by_sha = dict(zip(addresses, used, strict=True))
    best = sorted(by_sha, key=lambda a: (-by_sha[a].stations, -addresses.count(a), a))
    return [by_sha[sha] for sha in best[:TRIED_MAX]]


def _pool(backend: Backend, others: Sequence[Profile], layer: str, own: Embeddings) -> Iterator[Common]:
    """Over this view and the others, of each the first golden frames, which its own basis is fitted on too.

    None where the store has no other's any more.
    """
    frames = [own]
    for profile in others[: STATIONS_MAX - 1]:
        until_ns = int(profile.golden_from_ns + BASIS_SHARE * (profile.golden_until_ns - profile.golden_from_ns))
        golden, version = read.golden(backend.store, profile.station_id, profile.view, profile.golden_from_ns, until_ns)
        x = golden.layers.get(layer)
        if version == profile.model_version and x is not None and x.shape[1] == own.shape[1]:
            frames.append(x[-ROWS_MAX:].copy())
    if len(frames) > 1:
        yield pooled(frames, DIMS_MAX)


def _warnings(layer: str, chosen: Common | None, shares: Sequence[float], others: Sequence[Profile]) -> list[str]:
    sha = "" if chosen is None else chosen.sha
    apart = [f"{other.station_id} {other.view}" for other in others if other.layers[layer].basis.common.sha != sha]
    if not apart:
        return []
    places = ", ".join(apart[:_NAMED_MAX]) + (f" and {len(apart) - _NAMED_MAX} more" if apart[_NAMED_MAX:] else "")
    apart_from = f"layer {layer!r} can't be compared with {places}"
    if chosen is not None:
        pooled_over = f"{chosen.stations} station{'s' * (chosen.stations > 1)}"
        return [f"{apart_from} until those are built again: its common basis is of {pooled_over}, theirs is another"]
    rule = f"a common basis explains at least {EXPLAINED_MIN:.0%} of what a layer's own axes do; got {max(shares):.0%}"
    way_out = "it has its own; where the others' golden frames are no longer kept, build those again first"
    return [f"{apart_from}: {rule}: {way_out}"]
