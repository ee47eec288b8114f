"""Every message but the frames: frozen, unknown fields ignored, so that two releases can talk. Times: UTC epoch ns."""

from typing import Literal, TypeAlias

import msgspec

from sincewhen_schemas.invalid import InvalidReason

DatingStatus: TypeAlias = Literal["provisional", "confirmed", "refined"]
Shape: TypeAlias = Literal["abrupt", "gradual", "undecided", "transient", "recurring"]
StationState: TypeAlias = Literal[
    "learning", "in control", "out of control", "insufficient data", "new regime", "not producing", "blind"
]


class Message(msgspec.Struct, frozen=True):
    """A value of the contract."""


class Likeness(Message, frozen=True, kw_only=True):
    """How near a known cause comes to a displacement of one layer."""

    cause: str
    family: int  # causes of one number look alike in this layer
    cosine: float  # of its nearest fingerprint


class Closing(Message, frozen=True, kw_only=True):
    """By re-baselining: another profile was activated, so that what it was held against is no longer the reference."""

    by: str
    why: str


class Detection(Message, frozen=True, kw_only=True):
    """One stream's detector has left control. A later version of the same detection_id replaces it.

    station_id of a line mean is site/area/line, of the plant mean site; their view and profile_sha are empty.
    """

    detection_id: str
    version: int
    station_id: str
    view: str
    stream: str
    status: Literal["provisional", "confirmed", "refined", "ended"]
    dating: DatingStatus
    verdict: Literal["paging", "recorded"]
    alarm_at_ns: int
    paged_at_ns: int | None = None  # the frame at which it first was worth a page
    since_ns: int
    since_low_ns: int
    since_high_ns: int
    until_ns: int | None = None
    until_low_ns: int | None = None
    until_high_ns: int | None = None
    shape: Shape
    p_ramp: float
    evidence: float  # max log marginal likelihood ratio of the dating
    displacement: float  # Mahalanobis size
    direction: bytes = b""  # mean displacement in the profile's coordinates, float16 little-endian
    basis: str = ""  # address of the common basis of stations of its model version; "" = of no layer as a whole
    common: bytes = b""  # mean displacement in the coordinates of that, float16 little-endian
    common_error: float = 0.0  # expected squared length of its error
    before: float | None = None  # a scalar stream's usual value, and its value now
    after: float | None = None
    cause: str = "unknown"  # what it looks like: names joined by " or "
    cause_cosine: float = 0.0  # angle with the nearest fingerprint
    cause_strength: float = 0.0  # 1..5, 0 = not known
    alike: tuple[Likeness, ...] = ()  # every cause that is known in this layer
    limit_share: float | None = None  # of the displacement at which decisions begin to flip; None = not known
    layers: tuple[str, ...] = ()  # that its view's profile watches, in the model's order
    across: bool = False  # a second change, found across the direction of one that is open
    with_lot: bool = False  # abrupt, from the first frame of a lot, supplier lot, sku or recipe on; no recorded change
    seen_before: int = 0  # changes of this stream that ended and looked alike
    like_id: str | None = None  # detection_id of the nearest of them
    like_cosine: float = 0.0
    new_level: bool = False  # stable since a recorded change: a new reference is proposed
    closed: Closing | None = None  # None: it goes on, or ended by itself
    contradicted: bool = False  # it was there before the last cleaning or replacement
    stations: tuple[str, ...] = ()  # of a line or plant mean: those that moved with it
    ln_z: float
    arl0: float
    profile_sha: str
    model_version: str
    updated_at_ns: int


class LayerMove(Message, frozen=True, kw_only=True):
    """How far one layer of one view moved."""

    view: str
    layer: str
    moved: bool  # its mean, that of a semantic slice, or its frames' scatter, beyond control
    displacement: float | None = None  # Mahalanobis size; None: its mean did not move beyond control


class Incident(Message, frozen=True, kw_only=True):
    """Detections that are one event: what people see. A later version of the same incident_id replaces it.

    station_id of what many stations have in common is site/area/line or site.
    """

    incident_id: str
    version: int
    station_id: str
    status: Literal["open", "ended"]
    severity: Literal["page"]
    cause: str = "unknown"
    with_lot: bool = False  # it began with a lot, supplier lot, sku or recipe
    dating: DatingStatus
    opened_at_ns: int
    since_ns: int
    since_low_ns: int
    since_high_ns: int
    until_ns: int | None = None
    until_high_ns: int | None = None
    shape: Shape
    p_ramp: float
    streams: tuple[str, ...]
    layers: tuple[LayerMove, ...] = ()  # of each view, in the model's order
    looks_like: str | None = None  # incident_id of an earlier one that ended
    looks_like_since_ns: int | None = None
    looks_like_station_id: str = ""  # where that was
    new_level: bool = False  # stable since a recorded change: a new reference is proposed
    contradicted: bool = False  # it was there before a recorded cleaning or replacement, which did not end it
    closed: Closing | None = None  # None: it goes on, or ended by itself
    detection_ids: tuple[str, ...]
    stations: tuple[str, ...] = ()  # all that moved
    merged_into: str = ""  # the incident that it turned out to be a part of
    updated_at_ns: int


class DeadLetter(Message, frozen=True, kw_only=True):
    """A record that breaks the contract, kept with the reason."""

    station_id: str
    reason: InvalidReason
    detail: str
    payload: bytes
    appended_at_ns: int
    offset: int


class BlindTime(Message, frozen=True, kw_only=True):
    """Time in which a station made product that nobody monitored."""

    station_id: str
    view: str
    since_ns: int
    until_ns: int
    reason: Literal["sequence_gap", "silent", "agent_off"]
    frames_missed: int | None = None


class StationStatus(Message, frozen=True, kw_only=True):
    """What the monitor knows of one view of a station; `missing` says what learning still lacks, then what frames do.

    learning_since_ns: capture of the first frame of its learning, None while it has a profile. silent: no frames come.
    new_regime_share: of the newest hundred frames, those that are unlike everything that the profile knows.
    not_drift: pages that people judged to be none; they count as false pages against the budget.
    """

    station_id: str
    view: str
    state: StationState
    since_ns: int
    profile_sha: str
    frames: int
    last_captured_at_ns: int
    missing: tuple[str, ...] = ()
    learning_since_ns: int | None = None
    silent: bool = False
    new_regime_share: float = 0.0
    not_drift: int = 0


class Heard(Message, frozen=True, kw_only=True):
    """What was last heard of a view, and by what its silence is judged.

    frames_at_ns, beat_at_ns: append times of its newest frames and heartbeat, 0 = none came. producing: what its agent
    last said of that, None = nothing. spacing_ns: the usual time between frames, 0 = not known.
    """

    status: StationStatus
    frames_at_ns: int = 0
    beat_at_ns: int = 0
    producing: bool | None = None
    spacing_ns: float = 0.0


class GroupStatus(Message, frozen=True, kw_only=True):
    """What the monitor knows of a line (site/area/line) or the plant (site): what its members have in common.

    members: stations of the line, or lines of the plant. late_sums: 10 s sums that came too late and were not used.
    """

    group_id: str
    state: Literal["learning", "in control", "out of control"]
    members: tuple[str, ...]
    streams: tuple[str, ...]
    late_sums: int = 0


class Activation(Message, frozen=True, kw_only=True):
    """From now on a view is watched by a profile."""

    station_id: str
    view: str
    profile_sha: str
    at_ns: int
    by: str  # "" = nobody said
    why: str


class Subgroup(Message, frozen=True, kw_only=True):
    """A rational subgroup of one scalar stream: frames over at most 10 s, as normal scores about the profile's mean.

    Or of scores of unit variance along a known cause, about the profile's mean too.
    """

    station_id: str
    view: str
    stream: str
    first_at_ns: int
    last_at_ns: int
    frames: int
    mean: float
    sigma: float  # of the mean, in control


class SecondOpinion(Message, frozen=True, kw_only=True):
    """Another method says that a stream's mean has changed. It never pages alone."""

    station_id: str
    view: str
    stream: str
    method: Literal["adwin", "page_hinkley"]
    at_ns: int


class Findings(Message, frozen=True, kw_only=True):
    """What one record of `frames` says of a station, less its rows, at that record's place in the station's order.

    topic_id, partition, offset: of that record. statuses: of views whose state, profile or count of pages that were not
    drift changed. scores: along known causes, for lines and plants only.
    """

    station_id: str
    topic_id: str
    partition: int
    offset: int
    statuses: tuple[StationStatus, ...] = ()
    detections: tuple[Detection, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    scores: tuple[Subgroup, ...] = ()
    blind_times: tuple[BlindTime, ...] = ()
    activations: tuple[Activation, ...] = ()
    second_opinions: tuple[SecondOpinion, ...] = ()


MESSAGES: tuple[type[Message], ...] = (
    Detection,
    Incident,
    DeadLetter,
    BlindTime,
    StationStatus,
    Heard,
    GroupStatus,
    Activation,
    Subgroup,
    SecondOpinion,
    Findings,
)
