"""The queries: LogQL over the log lines as they are shipped.

`run`, `incident`, `stage`, `action`, `decision` and `ms` come as structured metadata; everything else is in the line,
which is JSON, and is taken out by name.
"""

import re
from collections.abc import Mapping

ENVIRONMENT = "deployment_environment_name"
STREAM = f'{{service_name="spai", {ENVIRONMENT}=~"$entorno"}}'
RANGE, STEP = "$__range", "$__auto"
"""The dashboard's whole time range, and a step that suits its width."""

_SAMPLE: Mapping[str, str] = {
    "__range": "24h",
    "__auto": "5m",
    "entorno": ".*",
    "incidencia": ".+",
    "precio_entrada": "1",
    "precio_salida": "1",
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def lines(action: str, *fields: str, where: str = "") -> str:
    """The lines of an action (a regular expression), with these fields of theirs; `where`: a filter on fields."""
    exact = re.fullmatch(r"\w+", action) is not None
    query = f"{STREAM} | action{'=' if exact else '=~'}`{action}`"
    if fields:
        query += " | json " + ", ".join(f'{name}="{name}"' for name in fields)
    return f"{query} | {where}" if where else query


def count(query: str, by: str = "", over: str = RANGE) -> str:
    """How many lines, or how many per value of `by`."""
    return f"sum{f' by ({by})' if by else ''} (count_over_time({query} [{over}]))"


def total(query: str, value: str, by: str = "", over: str = RANGE) -> str:
    """The sum of a field."""
    return f"sum{f' by ({by})' if by else ''} (sum_over_time({_unwrapped(query, value)} [{over}]))"


def quantile(query: str, share: float, value: str, by: str = "service_name", over: str = RANGE) -> str:
    """A quantile of a field."""
    return f"quantile_over_time({share}, {_unwrapped(query, value)} [{over}]) by ({by})"


def latest(query: str, value: str, over: str = RANGE) -> str:
    """The last value of a field."""
    return f"max(last_over_time({_unwrapped(query, value)} [{over}]) by (service_name))"


def or_zero(query: str) -> str:
    """0 where there are no lines: nothing happened, which is not the same as no data.

    `max` takes the labels away: beside a labelled value the 0 would be a second one.
    """
    return f"max({query}) or vector(0)"


def share(part: str, whole: str) -> str:
    """0..1; 0 where there is nothing to divide by."""
    return f"(({part}) or vector(0)) / (({whole}) > 0 or vector(1))"


def filled(query: str, values: Mapping[str, str] | None = None) -> str:
    """The query as Grafana would send it, with `values` for the variables, or what the dashboards open with.

    Raises `KeyError` for a variable that no dashboard has.
    """
    known = {**_SAMPLE, **(values or {})}
    return _VARIABLE.sub(lambda found: known[found[1] or found[2]], query)


def _unwrapped(query: str, value: str) -> str:
    return f"{query} | unwrap {value} | __error__=``"
