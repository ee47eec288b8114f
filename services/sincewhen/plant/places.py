"""Places by their names: site/area/line/station, the line site/area/line, and the site, whose plant it is."""

STATION_DEPTH = 3  # slashes in a station_id; a line has two, the plant none


def site_of(place: str) -> str:
    """The site of a station or line."""
    return place.partition("/")[0]


def line_of(station_id: str) -> str:
    """The line of a station."""
    return station_id.rpartition("/")[0]
