"""Which layers of the model moved: early ones, so seeing changed, or only late ones: deciding did (3-detection §5)."""

from collections.abc import Iterable, Sequence

from sincewhen.profiles.streams import layer_of
from sincewhen_schemas.messages import Detection, Incident, LayerMove


def layer_moves(members: Iterable[Detection]) -> tuple[LayerMove, ...]:
    """Every layer of every view that the members are of, in the model's order; the largest displacement of each."""
    newest_last = sorted(members, key=lambda d: (d.updated_at_ns, d.detection_id))
    orders = {member.view: member.layers for member in newest_last}
    return tuple(_move(view, layer, newest_last) for view in sorted(orders) for layer in orders[view])


def _move(view: str, layer: str, members: Sequence[Detection]) -> LayerMove:
    mine = [member for member in members if member.view == view and layer_of(member.stream) == layer]
    sizes = [member.displacement for member in mine if member.stream.startswith("embedding:")]
    return LayerMove(view=view, layer=layer, moved=bool(mine), displacement=max(sizes, default=None))


def said(incident: Incident) -> str:
    """One sentence a view; empty where no layer is watched."""
    views = list(dict.fromkeys(move.view for move in incident.layers))
    sentences = []
    for view in views:
        sentence = _sentence([move for move in incident.layers if move.view == view], so_far=incident.status == "open")
        sentences.append(f"{view}: {sentence}" if len(views) > 1 else sentence)
    return " ".join(sentences)


def _sentence(moves: Sequence[LayerMove], *, so_far: bool) -> str:
    """Moves: of one view, at least one."""
    moved = ", ".join(move.layer for move in moves if move.moved)
    if not moved:
        return "No layer of the model moved beyond control."
    if len(moves) == 1:
        return f"The one layer that is watched moved ({moved}): seeing or deciding, nobody can tell."
    if moves[0].moved:
        return f"Early layers moved ({moved}): seeing changed."
    only = "So far only late" if so_far else "Only late"
    return f"{only} layers moved ({moved}): deciding changed, seeing did not."
