"""Names of streams: embedding:LAYER, slice:LAYER:NUMBER, t2:LAYER, spe:LAYER, factor:NAME, confidence, signal:NAME.

cause:LAYER:CAUSE, a station's score along a known cause, is a stream of lines and plants only.
"""

SQUARED = ("t2:", "spe:")  # of a layer's frames; they grow with the square of a change
CAUSES = "cause:"


def slice_stream(layer: str, number: int) -> str:
    """The name of a slice's stream."""
    return f"slice:{layer}:{number}"


def cause_stream(layer: str, cause: str) -> str:
    """The name of the stream of scores along a cause in a layer."""
    return f"{CAUSES}{layer}:{cause.replace(':', '_')}"


def cause_of(stream: str) -> str:
    """The cause that a stream of scores is along; "" for other streams."""
    return stream.rpartition(":")[2] if stream.startswith(CAUSES) else ""


def parsed(stream: str) -> tuple[str, str, int]:
    """Its kind, the layer or other name behind it, and a slice's number, or -1."""
    kind, _, name = stream.partition(":")
    if kind not in {"slice", "cause"}:
        return kind, name, -1
    layer, _, number = name.rpartition(":")
    return kind, layer, int(number) if kind == "slice" else -1


def layer_of(stream: str) -> str:
    """The layer that a stream is of, as a whole, a slice, an outlier or along a cause; "" for a scalar."""
    kind, name, _ = parsed(stream)
    return name if kind in {"embedding", "slice", "t2", "spe", "cause"} else ""
