"""The story of an incident as a person reads it on the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.story.event import Event, Fact, Source, Story

_STYLES = {Source.REJECTIONS: "yellow", Source.MODEL: "dim"}


def show(story: Story, console: Console) -> None:
    """How it stands, then what happened, by day and run."""
    console.print(Text(f"\nIncidencia {story.codIncidencia}", "bold"))
    for line in story.situacion:
        console.print(Text(f"  {line}"))
    heading = ""
    table = _table()
    for event in story.eventos:
        if (wanted := _heading(event, heading)) != heading:
            _print(table, console)
            console.print(Text(f"\n{wanted}", "bold"))
            heading, table = wanted, _table()
        table.add_row(Text(_hour(event), "dim"), _what(event))
    _print(table, console)
    for warning in story.avisos:
        console.print(Text(f"\nAtención: {warning}", "bold"))


def _heading(event: Event, before: str) -> str:
    """The day and the run; what names no run stays with what came before on that day."""
    day = f"{event.hora.astimezone():%d/%m/%Y}"
    if event.ejecucion:
        return f"{day} · ejecución {event.ejecucion}"
    return before if before.startswith(day) else day


def _table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=12)
    table.add_column()
    return table


def _hour(event: Event) -> str:
    """As exactly as its source knows it."""
    hour = event.hora.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return hour if event.hora.microsecond else hour[:8]


def _what(event: Event) -> Text:
    facts = _told(event)
    return Text(event.que, "bold") + Text(f"\n{facts}" if facts else "", _STYLES.get(event.fuente, ""))


def _print(table: Table, console: Console) -> None:
    if table.row_count:
        console.print(table)


def _told(event: Event) -> str:
    return " · ".join(_fact(name, value) for name, value in event.datos.items())


def _fact(name: str, value: Fact) -> str:
    if value is True:
        return name
    return f"{name} {round(value, 3):g}" if isinstance(value, float) else f"{name} {value}"
