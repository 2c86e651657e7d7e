"""The kinds of panel that the dashboards are made of, each with its data source, unit and thresholds."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, logs, loki, piechart, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import piechart as pie_models

from observabilidad.boards import logql

SOURCE = models.DataSourceRef(type_val="loki", uid="loki")
"""As `grafana/provisioning/datasources` names it."""
INCIDENT = "spai-incidencia"
"""The uid of the dashboard of one incident."""
GOOD, WARN, BAD, PLAIN = "green", "yellow", "red", "blue"

Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; None: from the least."""
Queries = Mapping[str, str]
"""Legend -> query."""


class _Panel(Protocol):
    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: models.DataSourceRef) -> Self: ...
    def span(self, w: int) -> Self: ...
    def height(self, h: int) -> Self: ...


Panel = TypeVar("Panel", bound=_Panel)


def number(
    title: str, query: str, description: str, *, unit: str = "short", steps: Steps = ((None, PLAIN),), decimals: int = 0
) -> stat.Panel:
    """One figure over the whole time range."""
    panel = stat.Panel().unit(unit).thresholds(_steps(steps)).decimals(decimals).no_value("0")
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return _laid(panel.with_target(_instant(query, "A")), title, description, 4, 4)


def over_time(
    title: str, queries: Queries, description: str, *, unit: str = "short", bars: bool = False, width: int = 12
) -> timeseries.Panel:
    """Lines, or stacked bars, along the time range."""
    panel = timeseries.Panel().unit(unit).min(0).no_value("0")
    panel.legend(
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    if bars:
        panel.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(80)
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    else:
        panel.fill_opacity(10).show_points(common_models.VisibilityMode.AUTO)
    for ref, (legend, query) in zip("ABCDEFGH", queries.items(), strict=False):
        panel.with_target(loki.Dataquery().expr(query).legend_format(legend).query_type("range").ref_id(ref))
    return _laid(panel, title, description, width, 8)


def ranking(
    title: str, queries: Queries, description: str, *, unit: str = "short", steps: Steps = ((None, PLAIN),)
) -> bargauge.Panel:
    """A bar per value, over the whole time range."""
    panel = bargauge.Panel().unit(unit).thresholds(_steps(steps)).min(0).no_value("0")
    panel.orientation(common_models.VizOrientation.HORIZONTAL).display_mode(common_models.BarGaugeDisplayMode.BASIC)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    for ref, (legend, query) in zip("ABCDEFGH", queries.items(), strict=False):
        panel.with_target(_instant(query, ref, legend))
    return _laid(panel, title, description, 12, 9)


def parts(title: str, query: str, legend: str, description: str) -> piechart.Panel:
    """The parts of a whole, over the whole time range."""
    panel = (
        piechart.Panel()
        .pie_type(pie_models.PieChartType.DONUT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    panel.legend(
        piechart.PieChartLegendOptions()
        .display_mode(common_models.LegendDisplayMode.TABLE)
        .placement(common_models.LegendPlacement.RIGHT)
        .show_legend(True)
        .values([pie_models.PieChartLegendValues.VALUE, pie_models.PieChartLegendValues.PERCENT])
    )
    return _laid(panel.with_target(_instant(query, "A", legend)), title, description, 8, 8)


def listing(
    title: str, query: str, columns: Mapping[str, str], description: str, *, width: int = 24, most: int = 200
) -> table.Panel:
    """A row per log line, newest first. `columns`: field -> heading; the incident's links to its own dashboard."""
    panel = table.Panel().with_target(_lines(query, most)).no_value("ninguna")
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="extractFields", options={"source": "labels", "format": "json", "replace": True, "keepTime": True}
        )
    )
    shown = {"Time": "Hora", **columns}
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "includeByName": dict.fromkeys(shown, True),
                "indexByName": {name: place for place, name in enumerate(shown)},
                "renameByName": dict(shown),
            },
        )
    )
    if "incident" in columns:
        panel.override_by_name(columns["incident"], [models.DynamicConfigValue(id_val="links", value=[_STORY])])
    return _laid(panel, title, description, width, 10)


def log(title: str, query: str, description: str, *, most: int = 500, oldest_first: bool = False) -> logs.Panel:
    """The lines themselves."""
    order = common_models.LogsSortOrder.ASCENDING if oldest_first else common_models.LogsSortOrder.DESCENDING
    panel = logs.Panel().with_target(_lines(query, most)).show_time(True).sort_order(order)
    panel.enable_log_details(True).wrap_log_message(True).prettify_log_message(False)
    panel.dedup_strategy(common_models.LogsDedupStrategy.NONE)
    return _laid(panel, title, description, 24, 12)


def board(title: str, uid: str, description: str) -> dashboard.Dashboard:
    """An empty dashboard with what all have: the environment, links to the others, the last 24 hours."""
    return (
        dashboard.Dashboard(f"SPAI · {title}")
        .uid(uid)
        .description(description)
        .tags(["spai"])
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(
            dashboard.QueryVariable("entorno")
            .label("Entorno")
            .datasource(SOURCE)
            .query({"label": logql.ENVIRONMENT, "stream": "", "type": 1, "refId": "entorno"})
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .include_all(True)
            .all_value(".*")
            .current(models.VariableOption(selected=True, text="All", value="$__all"))
        )
        .link(
            dashboard.DashboardLink("Los demás paneles")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["spai"])
            .keep_time(True)
            .include_vars(False)
            .as_dropdown(False)
        )
    )


def textbox(name: str, label: str, value: str, description: str) -> dashboard.TextBoxVariable:
    """A variable that the reader types in."""
    option = models.VariableOption(selected=True, text=value, value=value)
    return (
        dashboard.TextBoxVariable(name)
        .label(label)
        .description(description)
        .default_value(value)
        .current(option)
        .options([option])
    )


def _laid(panel: Panel, title: str, description: str, width: int, height: int) -> Panel:
    return panel.title(title).description(description).datasource(SOURCE).span(width).height(height)


def _steps(steps: Steps) -> dashboard.ThresholdsConfig:
    found = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def _instant(query: str, ref: str, legend: str = "") -> loki.Dataquery:
    return loki.Dataquery().expr(query).legend_format(legend).query_type("instant").ref_id(ref)


def _lines(query: str, most: int) -> loki.Dataquery:
    return loki.Dataquery().expr(query).query_type("range").max_lines(most).ref_id("A")


# A link of a table's cell: `__value.raw` is the code in it.
_STORY = {
    "title": "Ver su historia",
    "url": f"/d/{INCIDENT}/{INCIDENT}?var-incidencia=${{__value.raw}}&${{__url_time_range}}",
    "targetBlank": False,
}
