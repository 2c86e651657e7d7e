"""What was found, as tables: sets across, a way of searching in each line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.grid import Grid
from bench.retrieval.finding import BEFORE, LIMIT, ORDER, VARIANTS, Found, Weights, fitted_elsewhere
from core.evidence import WEIGHTS

_FIRST = (1, 2, 3, 4, 5, 8, 10)
Sets = Mapping[str, Found]


@dataclass(frozen=True)
class Searches:
    """Every set, searched in each of the ways that are compared."""

    product: Sets
    without_examples: Sets
    one_role: Sets
    """Rows embedded as if they searched."""
    limits: Mapping[int, Sets]
    """By how many rows each retriever names."""
    new_rows: Mapping[str, tuple[Found, Found, Found]]
    """No row has examples; the quarter of the rows that is asked for has none; every row has them."""


def of_sets(searches: Searches) -> list[Grid]:
    """Retrievers and weights, and how many candidates are worth having."""
    names = tuple(searches.product)
    product = searches.product.values()
    rows = [
        ("fusión anterior, sin ejemplos", *(_cell(found, BEFORE) for found in searches.without_examples.values())),
        ("producto, sin ejemplos", *(_cell(found, WEIGHTS) for found in searches.without_examples.values())),
        ("solo e5, un prefijo", *(_cell(found, {"e5": 1.0}) for found in searches.one_role.values())),
        ("producto, e5 con un prefijo", *(_cell(found, WEIGHTS) for found in searches.one_role.values())),
        *((variant, *(_cell(found, weights) for found in product)) for variant, weights in VARIANTS.items()),
    ]
    if len(names) > 1:
        fitted = (_cell(found, fitted_elsewhere(name, searches.product)) for name, found in searches.product.items())
        rows.append(("pesos ajustados en los demás", *fitted))
    made = [
        Grid("Fila correcta la primera · entre tres · AUROC de «¿hay alguna?»", ("variante", *names), rows),
        Grid("Fila correcta entre las que se miran", ("candidatas", *names), _candidates(searches)),
        Grid(
            "Filas nuevas: la correcta, la primera, cuando su cuarta parte de las filas no tiene ejemplos",
            ("conjunto", "n", "sin ejemplos ninguna", "sin ejemplos solo esas", "con ejemplos todas"),
            [
                (name, str(int(found[0].solvable.sum())), *(_number(one.reached(WEIGHTS, 1)) for one in found))
                for name, found in searches.new_rows.items()
            ],
        ),
    ]
    return [grid for grid in made if grid.rows]


def of_texts(found: Mapping[str, Found]) -> Grid:
    """What a row of the demo catalogue says, a line each."""
    rows = [(text, *_cells(one, WEIGHTS)) for text, one in found.items()]
    asked = next(iter(found.values())).solvable if found else np.array([])
    title = (
        f"Qué se indexa de cada fila (demostración: {int(asked.sum())} incidencias con fila, {int((~asked).sum())} sin"
    )
    return Grid(f"{title})", ("texto", "la primera", "entre tres", "AUROC"), rows)


def of_rewordings(own: Sets, reworded: Sets) -> Grid:
    """The incident's own words, and with the model's rewording besides, on the same incidents."""
    rows = [
        (name, str(int(found.solvable.sum())), how, *_cells(found, {ORDER: 1.0}))
        for name in own
        for how, found in (("sus palabras", own[name]), ("y reformulada", reworded[name]))
    ]
    return Grid(
        "Con reformulación y sin ella", ("conjunto", "n", "se busca", "la primera", "entre tres", "AUROC"), rows
    )


def _candidates(searches: Searches) -> Sequence[tuple[str, ...]]:
    rows = [
        (f"las {first} primeras" if first > 1 else "la primera",
         *(_number(found.reached(WEIGHTS, first)) for found in searches.product.values()))
        for first in _FIRST
    ]  # fmt: skip
    limits = {**searches.limits, LIMIT: searches.product}
    for limit in sorted(limits):
        rows.append((f"todas, con {limit} por buscador", *(_number(found.named) for found in limits[limit].values())))
    return rows


def _cells(found: Found, weights: Weights) -> tuple[str, ...]:
    if not found.uses(weights) or not found.solvable.any():
        return ("—",) * 3
    return tuple(map(_number, found.measured(weights)))


def _cell(found: Found, weights: Weights) -> str:
    return " ".join(_cells(found, weights)) if found.uses(weights) and found.solvable.any() else "—"


def _number(figure: float) -> str:
    return "—" if np.isnan(figure) else f"{figure:.3f}"
