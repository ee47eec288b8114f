"""The limit of every size in the contract. A record beyond one is refused with a reason, never cut."""

import re

STATION_ID = re.compile(r"[^/\s\x00-\x1f\x7f]+(/[^/\s\x00-\x1f\x7f]+){3}")  # site/area/line/station
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
SEQ_MAX = 2**63 - 1
VIEWS_MAX = 16  # of a station
DROP_REASONS_MAX = 64
RECORD_BYTES_MAX = 4 * 1024 * 1024
UPLOAD_BYTES_MAX = 8 * 1024 * 1024
UPLOAD_RECORDS_MAX = 256
BATCH_FRAMES_MAX = 1024
LAYERS_MAX = 8
LAYER_DIMS_MAX = 4096
FACTORS_MAX = 32
SIGNALS_MAX = 64
CLASSES_MAX = 1024
ATTRIBUTES_MAX = 32
MATERIAL_LOTS_MAX = 32
NAME_CHARS_MAX = 64
ID_CHARS_MAX = 128
TEXT_CHARS_MAX = 512
STATION_CHARS_MAX = 200
REFERENCE_BYTES_MAX = 64 * 1024 * 1024  # packed, and again unpacked
REFERENCE_IMAGES_MAX = 64
REFERENCE_CAUSES_MAX = 32
CAPTURED_AT_MIN_NS = 946_684_800_000_000_000  # 2000-01-01T00:00:00Z
CAPTURED_AHEAD_MAX_NS = 3_600_000_000_000  # 1 h ahead of the log's append time
