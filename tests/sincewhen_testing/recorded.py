"""Arrays on disk as `sincewhen backtest` reads them, with a change of known onset."""

from pathlib import Path

import numpy as np

from sincewhen_testing.streams import direction, noise

N, D, CHANGED = 3400, 16, 2900


def changed_rows() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings that move at row CHANGED, and where to."""
    rng = np.random.default_rng(7)
    x = noise(rng, N, D)
    move = direction(rng, D)
    x[CHANGED:] += 3 * move
    return x, move


def arrays(folder: Path, **changed: np.ndarray | None) -> Path:
    """All columns, some of them changed; None: left out."""
    rng = np.random.default_rng(8)
    columns = {
        "x": changed_rows()[0],
        "t": np.arange(N) * 10**9,
        "lot": np.array([f"L{i // 200}" for i in range(N)]),
        "confidence": rng.uniform(0.8, 1, N),
        "factors": rng.standard_normal((N, 2)),
        "factor_names": np.array(["brightness", "contrast"]),
        **changed,
    }
    file = folder / "stream.npz"
    kept = {name: values for name, values in columns.items() if values is not None}
    np.savez(file, **kept)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for a column
    return file
