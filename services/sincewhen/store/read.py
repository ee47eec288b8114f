"""Questions to the store. Every value is a parameter."""

from typing import Any

import msgspec
import numpy as np

from sincewhen.profiles.golden import Golden
from sincewhen.store.connect import Connection
from sincewhen_schemas.messages import Activation, Detection, Incident

_NOW_NS = 2**62  # later than any frame
_WINDOW = """station_id IN {stations:Array(String)} AND captured_at BETWEEN fromUnixTimestamp64Nano({low:Int64})
  AND fromUnixTimestamp64Nano({high:Int64})"""
SCOPE_KINDS = ("lot", "supplier_lot", "shift", "sku", "unit_id")


def detections(connection: Connection) -> list[Detection]:
    """Every version that is kept, to correlate after a start."""
    found = connection.rows("SELECT body FROM detections FINAL ORDER BY detection_id, version")
    return [msgspec.json.decode(row["body"], type=Detection) for row in found]


def incidents(connection: Connection) -> list[Incident]:
    """The newest version of each, newest incident first."""
    found = connection.rows(
        """SELECT argMax(body, version) AS newest, max(since) AS began FROM incidents
        GROUP BY incident_id ORDER BY began DESC, incident_id"""
    )
    return [msgspec.json.decode(row["newest"], type=Incident) for row in found]


def scope(connection: Connection, incident: Incident) -> dict[str, list[dict[str, Any]]]:
    """Lots, supplier lots, shifts, skus and units of all stations that moved, in [since_low, until_high].

    Of each: frames, units, first and last capture.
    """
    until = incident.until_high_ns if incident.until_high_ns is not None else _NOW_NS
    stations = list(incident.stations or [incident.station_id])
    window = {"stations": stations, "low": incident.since_low_ns, "high": until}
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in SCOPE_KINDS:
        found[kind] = connection.rows(
            f"""SELECT {kind} AS value, count() AS frames, uniqExactIf(unit_id, unit_id != '') AS units,
            toUnixTimestamp64Nano(min(captured_at)) AS first_ns, toUnixTimestamp64Nano(max(captured_at)) AS last_ns
            FROM frames FINAL WHERE {_WINDOW} AND purpose = 'production' AND {kind} != ''
            GROUP BY value ORDER BY first_ns, value""",  # noqa: S608 - names of columns, from a constant
            window,
        )
    return found


def golden(connection: Connection, station: str, view: str, from_ns: int, until_ns: int) -> tuple[Golden, str]:
    """Production frames of a window in order of capture, and their model version (the newest; others are left out)."""
    window = {"stations": [station], "view": view, "low": from_ns, "high": until_ns}
    order = "ORDER BY captured_at, agent_id, boot_id, seq"
    chosen = f"{_WINDOW} AND view = {{view:String}}"
    version = connection.rows(
        f"SELECT argMax(model_version, captured_at) AS v FROM frames WHERE {chosen} AND purpose = 'production'",  # noqa: S608 - a constant
        window,
    )[0]["v"]
    window["version"] = version
    chosen += " AND model_version = {version:String}"
    frames = connection.arrow(
        f"""SELECT toUnixTimestamp64Nano(captured_at) AS at, lot, sku, recipe, shift, decision, confidence, factors,
        signals, cityHash64(agent_id, boot_id, seq) AS id FROM frames FINAL
        WHERE {chosen} AND purpose = 'production' {order}""",  # noqa: S608 - constants
        window,
    ).to_pydict()
    vectors = connection.arrow(
        f"""SELECT layer, place, values, cityHash64(agent_id, boot_id, seq) AS id FROM embeddings FINAL
        WHERE {chosen} AND NOT sampled {order}""",  # noqa: S608 - constants
        window,
    ).to_pydict()
    return _golden(frames, vectors), version


def _golden(frames: dict[str, list[Any]], vectors: dict[str, list[Any]]) -> Golden:
    """Only frames that have every layer."""
    by_layer: dict[str, dict[int, bytes]] = {}
    places: dict[str, list[int]] = {}
    columns = (vectors[name] for name in ("layer", "place", "values", "id"))
    for layer, place, values, key in zip(*columns, strict=True):
        by_layer.setdefault(layer.decode(), {})[key] = values
        places.setdefault(layer.decode(), []).append(place)
    # in most records; one that lacks a layer moves the others up
    in_order = sorted(by_layer, key=lambda layer: (float(np.mean(places[layer])), layer))
    keep = [i for i, key in enumerate(frames["id"]) if all(key in rows for rows in by_layer.values())]
    scalars = {"confidence": np.array([frames["confidence"][i] for i in keep], np.float64)}
    for kind, prefix in (("factors", "factor"), ("signals", "signal")):
        maps = [dict(frames[kind][i]) for i in keep]
        for name in sorted({name for row in maps for name in row}):
            scalars[f"{prefix}:{name.decode()}"] = np.array([row.get(name, np.nan) for row in maps], np.float64)
    return Golden(
        captured_at_ns=np.array([frames["at"][i] for i in keep], np.int64),
        layers={
            layer: np.stack([np.frombuffer(by_layer[layer][frames["id"][i]], "<f2") for i in keep]).astype(np.float32)
            for layer in in_order
            if keep
        },
        scalars=scalars,
        lot=np.array([frames["lot"][i].decode() for i in keep], object),
        regime=np.array(
            [f"{frames['sku'][i].decode()}|{frames['recipe'][i].decode()}".strip("|") for i in keep], object
        ),
        shift=np.array([frames["shift"][i].decode() for i in keep], object),
        decision=np.array([frames["decision"][i].decode() for i in keep], object),
    )


def blind_time(
    connection: Connection, station: str, limit: int, low_ns: int = 0, high_ns: int = _NOW_NS
) -> list[dict[str, Any]]:
    """Blind time of a station that reaches into [low_ns, high_ns], newest first."""
    return connection.rows(
        """SELECT view, toUnixTimestamp64Nano(since) AS since_ns, toUnixTimestamp64Nano(until) AS until_ns, reason,
        frames_missed FROM blind_time FINAL WHERE station_id = {station:String}
        AND until >= fromUnixTimestamp64Nano({low:Int64}) AND since <= fromUnixTimestamp64Nano({high:Int64})
        ORDER BY since_ns DESC, view, reason LIMIT {limit:UInt32}""",
        {"station": station, "low": low_ns, "high": high_ns, "limit": limit},
    )


def activations(connection: Connection) -> list[Activation]:
    """Every one, newest first."""
    found = connection.rows(
        """SELECT station_id, view, sha AS profile_sha, toUnixTimestamp64Nano(at) AS at_ns, by, why
        FROM activations FINAL ORDER BY at_ns DESC, station_id, view, profile_sha"""
    )
    return msgspec.convert(found, list[Activation])


def dead_letters(connection: Connection, limit: int) -> list[dict[str, Any]]:
    return connection.rows(
        """SELECT log_offset, toUnixTimestamp64Nano(received_at) AS received_ns, station_id, reason, detail,
        length(payload) AS payload_bytes FROM dead_letters FINAL ORDER BY log_offset DESC LIMIT {limit:UInt32}""",
        {"limit": limit},
    )
