"""Reference sets that the edge sent, kept under their sha.

A profile takes the newest of its view and model version, of every regime that has one.
"""

import msgspec

from sincewhen.backend.backend import Backend
from sincewhen_schemas.limits import CAPTURED_AHEAD_MAX_NS
from sincewhen_schemas.reference import ReferenceSet, decode_reference, pooled, reference_sha

NEWEST, NONE = "newest", "none"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a kept set is of."""

    sha: str
    station_id: str
    view: str
    regime: str
    model_name: str
    model_version: str
    layers: dict[str, int]  # dimensions
    images: int
    causes: tuple[str, ...]
    built_at_ns: int


def keep(backend: Backend, encoded: bytes) -> About:
    """Check and keep a set; the same set built again becomes the newest, an older copy changes nothing.

    Raises ValueError.
    """
    reference = decode_reference(encoded)
    ahead = reference.built_at_ns - backend.now_ns()
    if ahead > CAPTURED_AHEAD_MAX_NS:  # it would stay the newest for ever
        raise ValueError(
            f"a reference set is built at most 1 h ahead of the server; got {ahead / 1e9:.0f} s: set its clock"
        )
    plant, station, view = backend.plant, reference.station_id, reference.view
    if not (plant.knows(station) and plant.knows_view(station, view)):
        raise ValueError(f"a reference set is of a view of this plant; got {station} {view}: list it in plant.toml")
    about = About(
        sha=reference_sha(encoded),
        station_id=reference.station_id,
        view=reference.view,
        regime=reference.regime,
        model_name=reference.model_name,
        model_version=reference.model_version,
        layers={name: values.shape[1] for name, values in reference.clean.items()},
        images=len(reference.images),
        causes=reference.causes,
        built_at_ns=reference.built_at_ns,
    )
    for kept in listed(backend):
        if kept.sha == about.sha and kept.built_at_ns >= about.built_at_ns:
            return kept
    backend.references.put(about.sha, msgspec.json.encode(about), encoded)
    return about


def listed(backend: Backend) -> list[About]:
    """Newest first."""
    found = [msgspec.json.decode(about, type=About) for about in backend.references.listed().values()]
    return sorted(found, key=lambda about: (-about.built_at_ns, about.sha))


def chosen(
    backend: Backend, wanted: str, station: str, view: str, model_version: str
) -> tuple[ReferenceSet | None, str]:
    """The set that a profile of this view is built with, and its sha. wanted: a sha, "newest" or "none".

    The newest of each regime, as far as they hold the same causes and layers, are one set, named by all their shas.
    Raises KeyError where the view has no such set.
    """
    mine = [about for about in listed(backend) if (about.station_id, about.view) == (station, view)]
    fitting = [
        about for about in mine if about.sha == wanted or (wanted == NEWEST and about.model_version == model_version)
    ]
    by_regime: dict[str, About] = {}
    for about in fitting:  # newest first
        by_regime.setdefault(about.regime, about)
    found = list(by_regime.values())
    alike = [about for about in found if (about.causes, about.layers) == (found[0].causes, found[0].layers)]
    if alike:
        sets = [decode_reference(backend.references.get(about.sha)) for about in alike]
        return pooled(sets), "+".join(about.sha for about in alike)
    if wanted not in {NEWEST, NONE}:
        raise KeyError(wanted)
    return None, ""
