"""What was judged becomes one HTML page that needs nothing else: no script, no other file, no address."""

from collections import Counter
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sincewhen.processor.backtest import Alarm
from sincewhen.profiles.profile import Profile
from sincewhen.report.charts import Chart, evidence, lead, of_change
from sincewhen.report.figure import NARROW, WIDE, Canvas
from sincewhen.report.judged import BASELINE, IN_CONTROL, NOT_JUDGED, OUT, reach
from sincewhen.report.words import ROW, STATUS, Unit, effects, told, why_refused

ILLUSTRATED_MAX = 12  # changes with charts: a page of a few MB
ROWS_SHOWN, NAMED_MAX = 12, 6
_MEASURED_MAX = 3


def render(canvas: Canvas, **said: Any) -> str:  # noqa: ANN401 - the template's words, each undefined one is an error
    """The page of a verdict, of words and pictures that depend on the command."""
    environment = Environment(loader=PackageLoader("sincewhen.report"), autoescape=True, undefined=StrictUndefined)
    verdict, clock = canvas.verdict, canvas.clock
    last = len(verdict.states) - 1
    return environment.get_template("report.html").render(
        refused=why_refused(verdict) if verdict.refused else None,
        unit=clock.unit,
        name=clock.name,
        span=(clock.place(0), clock.place(last)) if last >= 0 else None,
        zone=clock.zoned,
        overview=None if verdict.refused else [canvas.time_line(width) for width in (WIDE, NARROW)],
        keys=_keys(canvas),
        evidence_keys=_chart_keys(verdict.alarms, canvas),
        evidence=[(chart, _drawn(canvas, chart, verdict.alarms)) for chart in _evidence(canvas)],
        rows_shown=ROWS_SHOWN,
        **said,
    )


def change(number: int, canvas: Canvas, columns: list[tuple[str, list[str]]]) -> dict[str, Any]:
    """One change in words, charts and tables; number counts from 1. columns: titles and every row's value."""
    verdict, clock = canvas.verdict, canvas.clock
    alarm = verdict.alarms[number - 1]
    moved = effects(alarm, verdict)
    charts = _charts(alarm, canvas) if number <= ILLUSTRATED_MAX else []
    tables = _tables(reach(alarm, verdict).tolist(), columns, canvas)
    return {
        "number": number,
        "said": told(alarm, verdict, clock),
        "facts": facts(alarm, canvas),
        "moved": moved,
        "charts": [(chart, _drawn(canvas, chart, [alarm])) for chart in charts],
        "legend": _chart_keys([alarm], canvas),
        "tables": tables,
        "which": _listed([f"{table['title'].lower()}s" for table in tables]),
        "streams": [stream.replace("factor:", "") for stream in alarm.streams],
        "alarm": alarm,
    }


def _drawn(canvas: Canvas, chart: Chart, alarms: list[Alarm]) -> list[str]:
    """For a wide and for a narrow screen."""
    return [canvas.uri(chart, alarms, width) for width in (WIDE, NARROW)]


def _evidence(canvas: Canvas) -> list[Chart]:
    """Of what the model sees, where it was kept."""
    verdict = canvas.verdict
    stream = "" if verdict.profile is None else lead(verdict.profile.streams)
    return [evidence(verdict, stream)] if stream in verdict.ln_z else []


def facts(alarm: Alarm, canvas: Canvas) -> dict[str, str]:
    """Names and values, the most important first."""
    said, clock = told(alarm, canvas.verdict, canvas.clock), canvas.clock
    library = canvas.verdict.profile is not None and canvas.verdict.profile.library(lead(alarm.streams))
    looks_like = said.looks_like or ("unknown" if library else "unknown: no reference set of known faults")
    lots = ""
    if said.lots:
        more = f" and {len(said.lots) - NAMED_MAX} more" if said.lots[NAMED_MAX:] else ""
        many = "s" if said.lots[1:] else ""
        lots = f", {len(said.lots)} lot{many}: {', '.join(said.lots[:NAMED_MAX])}{more}"
    found = {
        "Since": f"{clock.place(alarm.known.since)}, {said.interval} (95 % sure)" if said.dated else said.interval,
        "Alarm": f"{clock.place(alarm.first.at)}, {clock.unit.count(alarm.first.at - alarm.known.since)} later",
        "Until": said.until or f"still so in the last {clock.unit.one}",
        "Reach": f"{clock.unit.count(said.rows)}{lots}",
        "Shape": alarm.known.shape,
        **({"Looks like": looks_like} if clock.unit is ROW else {}),
        "Status": STATUS[alarm.status],
    }
    measured = [
        f"{effect.name.replace('_', ' ')} {effect.before:.3g} → {effect.after:.3g} ({effect.spreads})"
        for effect in effects(alarm, canvas.verdict)[:_MEASURED_MAX]
    ]
    if not measured:
        return found
    size = f"in brackets: standard deviations of a {clock.unit.one} in the {clock.unit.usual}"
    return found | {"Measured": f"{'; '.join(measured)}; {size}"}


def _keys(canvas: Canvas) -> list[tuple[str, str]]:
    """Class and meaning of what the time line shows."""
    states = {
        BASELINE: ("baseline", canvas.clock.unit.usual),
        IN_CONTROL: ("calm", IN_CONTROL),
        OUT: ("out", f"{OUT}, with the number of the change"),
        NOT_JUDGED: ("unjudged", NOT_JUDGED),
    }
    shown = [key for state, key in states.items() if state in canvas.verdict.states]
    return shown + [("onset", "since, 95 %")] * bool(canvas.verdict.alarms)


def _chart_keys(alarms: list[Alarm], canvas: Canvas) -> list[tuple[str, str]]:
    """Class and meaning of what charts with these alarms show."""
    keys = [("tinted", OUT), ("onset", "since, 95 %"), ("alarm", "alarm"), ("point", "outside")] if alarms else []
    keys += [("end", "end")] * any(alarm.until is not None for alarm in alarms)
    keys += [("pause", "long pause")] * bool(canvas.cuts())
    return [*keys, ("pale", canvas.clock.unit.usual)]


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1])] * bool(words[1:]) + words[-1:])


def _charts(alarm: Alarm, canvas: Canvas) -> list[Chart]:
    verdict, stream = canvas.verdict, lead(alarm.streams)
    own = [evidence(verdict, stream)] if stream in verdict.ln_z and not stream.startswith("embedding:") else []
    return [*own, *of_change(alarm, verdict, canvas.clock.unit)]


def _tables(rows: list[int], columns: list[tuple[str, list[str]]], canvas: Canvas) -> list[dict[str, Any]]:
    """For each kind of context: its values in these rows, and which part of each value's rows they are."""
    clock = canvas.clock
    found: list[dict[str, Any]] = []
    for title, values in columns:
        total = Counter(values)
        by_value: dict[str, list[int]] = {}
        for row in rows:
            if values[row]:
                by_value.setdefault(values[row], []).append(row)
        if by_value:
            lines = [
                (value, len(of), round(100 * len(of) / total[value]), clock.place(of[0]), clock.place(of[-1]))
                for value, of in by_value.items()
            ]
            found.append({"title": title, "lines": lines})
    return found


def about(profile: Profile, unit: Unit) -> dict[str, str]:
    """A profile, for engineers."""
    test = profile.self_test
    return {
        "Profile": (
            f"{unit.count(profile.frames)}, {profile.lots} lots; A/A on the last {test.frames}: at most "
            f"{max(test.alarms.values(), default=0)} alarms in a stream, {test.alarms_max} allowed"
        ),
        "Streams": ", ".join(profile.streams),
    }
