"""The comparison and the repeat check as tables."""

from collections.abc import Sequence
from typing import Any

from bench.grid import Grid

_COLUMNS = ("conjunto", "variante", "n", "aciertan", "AUC", "AP", "s por juicio", "tokens")


def grids(result: dict[str, Any]) -> list[Grid]:
    """Every table that has a row."""
    made = [
        Grid("Variantes del juez, sobre lo que todas han juzgado (medianas de coste)", _COLUMNS, _compared(result)),
        Grid("Media de los conjuntos", ("variante", "conjuntos", "n", "AUC", "AP"), _means(result)),
    ]
    check = result["repeticion"]
    if check:
        title = (
            f"Segunda opinión, con el problema delante, a menos de {check['margen']} puntos sobre el umbral "
            f"({check['umbral']}); aprobaciones ajustadas sin el conjunto"
        )
        made.append(Grid(title, ("qué", "n", "bien", "mal"), _check(check)))
    return [grid for grid in made if grid.rows]


def _compared(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (name, variant, str(f["n"]), str(f["aciertan"]), *(_number(f[k]) for k in ("auc", "ap", "segundos", "tokens")))
        for name, part in result["conjuntos"].items()
        for variant, f in part["variantes"].items()
        if f["n"]
    ]


def _means(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (variant, str(f["conjuntos"]), str(f["n"]), _number(f["auc"]), _number(f["ap"]))
        for variant, f in result["medias"].items()
    ]


def _check(check: dict[str, Any]) -> list[tuple[str, ...]]:
    names = {
        "actuadas": "se haría solo hoy",
        "cerca": "de ello, cerca del umbral",
        "preguntadas": "preguntado otra vez",
        "frenadas": "lo que frena la segunda opinión",
        "con_repeticion": "queda con la segunda opinión",
        "umbral_subido": f"queda subiendo el umbral hasta la misma cobertura ({check['umbral_subido']['umbral']:g})",
    }
    return [(words, *(str(check[key][part]) for part in ("n", "bien", "mal"))) for key, words in names.items()]


def legend(result: dict[str, Any]) -> Sequence[str]:
    """What was compared with what, and what is missing."""
    lines = [f"Modelo {result['modelo']}, vectores {result['vectores']}, semilla {result['semilla']}."]
    lines += [f"Prompts: {', '.join(f'{name} {version}' for name, version in result['prompts'].items())}."]
    short = [
        f"{name} ({len(part['variantes']) and max(f['n'] for f in part['variantes'].values())} de {part['pedidos']})"
        for name, part in result["conjuntos"].items()
        if any(f["n"] < part["pedidos"] for f in part["variantes"].values())
    ]
    if short:
        lines.append(f"Faltan juicios de alguna variante en: {', '.join(short)}. Repita la orden para completarlos.")
    if result["sin_leer"]:
        lines.append(f"Respuestas que no se pueden leer: {result['sin_leer']}.")
    check = result["repeticion"]
    if check and check["gana"] is None:
        lines.append("La segunda opinión no se ha podido medir: no hay juicios en los dos órdenes o nada que hacer.")
    elif check:
        less, (low, high) = check["errores_menos"]["valor"], check["errores_menos"]["intervalo"]
        verdict = "gana" if check["gana"] else "no gana, o no se distingue del azar"
        lines.append(
            f"A igual cobertura, errores que ahorra la segunda opinión sobre subir el umbral: {less} "
            f"(intervalo del 95 %: {low} a {high}): {verdict}."
        )
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return "—"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
