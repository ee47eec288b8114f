"""Names of streams: embedding:LAYER, slice:LAYER:NUMBER, t2:LAYER, spe:LAYER, factor:NAME, confidence, signal:NAME."""

SQUARED = ("t2:", "spe:")  # of a layer's frames; they grow with the square of a change


def slice_stream(layer: str, number: int) -> str:
    """The name of a slice's stream."""
    return f"slice:{layer}:{number}"


def parsed(stream: str) -> tuple[str, str, int]:
    """Its kind, the layer or other name behind it, and a slice's number, or -1."""
    kind, _, name = stream.partition(":")
    if kind != "slice":
        return kind, name, -1
    layer, _, number = name.rpartition(":")
    return kind, layer, int(number)


def layer_of(stream: str) -> str:
    """The layer that a stream is of, as a whole, a slice or an outlier; "" for a scalar."""
    kind, name, _ = parsed(stream)
    return name if kind in {"embedding", "slice", "t2", "spe"} else ""
