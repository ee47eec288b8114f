"""What an incident looks like: the cause that fits all layers which moved, or "unknown".

A fault changes the picture and so moves every layer in that layer's own way. One layer alone names too easily: to an
early one a new surface of less contrast is a loss of contrast, and only the later ones tell that it is a new surface.
What begins suddenly with a lot is the material's until it fits a fault of the camera all but exactly.

Where no station's layer has moved, a line's or plant's scores along known causes tell.
"""

from collections.abc import Iterable

from sincewhen.detect.naming import AHEAD_MIN, COSINE_MIN, UNKNOWN
from sincewhen.profiles.library import CLASS_MIX
from sincewhen.profiles.streams import CAUSES, layer_of
from sincewhen_schemas.messages import Detection

_WITH_LOT_COSINE_MIN = 0.85
_OF_MATERIAL = {"texture", CLASS_MIX}
_FAMILIES_MAX = 2  # that fit equally well and are named together


def cause(members: Iterable[Detection], *, with_lot: bool) -> str:
    """Of each station's view the clearest detection of each layer counts, as a whole before a slice of it.

    Of several views the name that fits best counts.
    """
    known = list(members)
    views: dict[tuple[str, str], dict[str, Detection]] = {}
    for member in sorted(known, key=lambda d: (d.stream.startswith("embedding:"), d.displacement, d.detection_id)):
        if member.alike:
            views.setdefault((member.station_id, member.view), {})[layer_of(member.stream)] = member
    fits = [_of_view(list(layers.values())) for _, layers in sorted(views.items())]
    names, fit = max((item for item in fits if item[0]), key=lambda item: item[1], default=((), 0.0))
    if with_lot and fit < _WITH_LOT_COSINE_MIN and not _OF_MATERIAL.issuperset(names):
        return UNKNOWN
    return " or ".join(names) or (UNKNOWN if views else _of_scores(known))


def _of_scores(members: Iterable[Detection]) -> str:
    """What the score that fits best says."""
    scores = [member for member in members if member.stream.startswith(CAUSES)]
    best = max(scores, key=lambda d: (d.cause != UNKNOWN, d.cause_cosine, d.detection_id), default=None)
    return UNKNOWN if best is None else best.cause


def named(detection: Detection) -> tuple[str, ...]:
    """The causes that it looks like; none where that is unknown."""
    return () if detection.cause == UNKNOWN else tuple(detection.cause.split(" or "))


def _of_view(layers: list[Detection]) -> tuple[tuple[str, ...], float]:
    """Names, nearest first, and the best one's mean cosine over the layers; a single layer's name is its own."""
    if len(layers) == 1:
        return named(layers[0]), layers[0].cause_cosine
    fits = [{item.cause: item for item in layer.alike} for layer in layers]
    known = sorted({name for fit in fits for name in fit})
    # a fault that is not seen in a layer does not explain why that one moved
    mean = {name: sum(fit[name].cosine for fit in fits if name in fit) / len(fits) for name in known}
    ranked = sorted(known, key=lambda name: -mean[name])
    close = [name for name in ranked if mean[name] > mean[ranked[0]] - AHEAD_MIN]
    families = {tuple(fit[name].family for fit in fits if name in fit) for name in close}
    if mean[ranked[0]] < COSINE_MIN or len(families) > _FAMILIES_MAX:
        return (), 0.0
    return tuple(close), mean[ranked[0]]
