"""The figures as tables: on the terminal and as Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

from bench.calidad.baselines import PRODUCT, WRITTEN
from bench.calidad.risk import RISKS
from bench.grid import Grid


def grids(result: dict[str, Any]) -> list[Grid]:
    """Every table of a result; those that would be empty are left out."""
    sets = result["conjuntos"]
    made = [_search(sets), _any(sets), _judge(result), _pairs(sets), _decision(result), _where(sets), _cost(sets)]
    certified = result.get("certificacion")
    made += [_certified(certified), _trials(certified)] if certified else [_trials(result["total"])]
    return [grid for grid in made if grid.rows]


def _search(sets: dict[str, Any]) -> Grid:
    rows = [
        (name, method, str(f["n"]), *(_with_interval(f[key]) for key in ("recall@1", "recall@5", "mrr")))
        for name, figures in sets.items()
        for method, f in _product_first(figures["orden"])
    ]
    return Grid(
        "Búsqueda: la entrada correcta, entre las primeras (intervalo del 95 %)",
        ("conjunto", "método", "n", "recall@1", "recall@5", "MRR"), rows,
    )  # fmt: skip


def _any(sets: dict[str, Any]) -> Grid:
    rows = []
    for name, figures in sets.items():
        judged = figures.get("decision", {}).get("hay_solucion", {})
        methods = figures["hay_solucion"] | ({f"{PRODUCT} (aprobación)": judged} if judged else {})
        for method, kinds in _product_first(methods):
            rows += [(name, method, kind, str(f["n"]), _number(f["auroc"])) for kind, f in kinds.items()]
    return Grid(
        "¿Hay alguna solución? AUROC de las incidencias con solución frente a las que no la tienen",
        ("conjunto", "método", "sin solución", "n", "AUROC"), rows,
    )  # fmt: skip


def _judge(result: dict[str, Any]) -> Grid:
    keys = ("auc_juez", "ap_juez", "auc_aprobacion", "ap_aprobacion", "ece", "brier")
    rows = []
    for name, figures in result["conjuntos"].items():
        judged = figures["juicio"]
        if judged["n"]:
            rows.append((name, "todos", str(judged["n"]), *(_number(judged[key]) for key in keys)))
            for kind, f in judged["por_tipo"].items():
                rows.append((name, kind, str(f["n"]), *(_number(f.get(key)) for key in keys)))
    if pooled := result["total"].get("juicio"):
        rows.append(("todos los conjuntos", "todos", str(pooled["n"]), *(_number(pooled.get(key)) for key in keys)))
    return Grid(
        "Juicio y aprobación de los candidatos, con el ajuste que se indica de cada conjunto (de un tipo: AUC y AP "
        "frente a todos los que aciertan, ECE y Brier de los suyos)",
        ("conjunto", "incidencias", "n", "AUC juez", "AP juez", "AUC aprob.", "AP aprob.", "ECE", "Brier"), rows,
    )  # fmt: skip


def _pairs(sets: dict[str, Any]) -> Grid:
    rows = []
    for name, figures in sets.items():
        for asked, pairs in (("mismo problema", figures["pares"]), ("lo contesta", figures.get("pares_documentos"))):
            for kind, f in ({"todos": pairs, **pairs["por_tipo"]} if pairs else {}).items():
                rows.append((name, asked, kind, str(f["n"]), str(f["aciertan"]), _number(f["auc"]), _number(f["ap"])))
    return Grid(
        "Juez sobre pares etiquetados (los que aciertan frente a cada tipo de par equivocado)",
        ("conjunto", "se pregunta", "tipo", "n", "aciertan", "AUC", "AP"), rows,
    )  # fmt: skip


def _decision(result: dict[str, Any]) -> Grid:
    rows = []
    parts = {name: f["decision"].get("metodos", {}) for name, f in result["conjuntos"].items() if f.get("decision")}
    total = result["total"]
    if total:
        sizes = total.get("n", {})
        parts["TODOS"] = {name: {"n": sizes.get(name), "riesgos": f} for name, f in total["riesgos"].items()}
        parts["TODOS"][PRODUCT]["umbral"] = total["umbral"]
    for name, methods in parts.items():
        for method, f in _product_first(methods):
            at = [_action(f.get("umbral"))]
            at += [_hindsight(f["riesgos"][f"{risk:g}"]) for risk in RISKS]
            rows.append((name, method, _number(f.get("n")), *at))
    heads = tuple(f"riesgo {risk:.0%}" for risk in RISKS)
    return Grid(
        f"Lo que se haría solo: cobertura / precisión con el umbral vigente ({result['umbral']}); y por riesgo, la "
        "mejor cobertura a posteriori → cobertura / precisión con el umbral que dan los otros conjuntos",
        ("conjunto", "método", "n", "umbral vigente", *heads), rows,
    )  # fmt: skip


def _where(sets: dict[str, Any]) -> Grid:
    rows = [
        (name, kind, *(str(f[key]) for key in ("incidencias", "automaticas", "equivocadas")))
        for name, figures in sets.items()
        for kind, f in figures.get("decision", {}).get("por_tipo", {}).items()
    ]
    columns = ("conjunto", "incidencias", "n", "automáticas", "equivocadas")
    return Grid("Dónde están los errores, con el umbral vigente", columns, rows)


def _cost(sets: dict[str, Any]) -> Grid:
    rows = [
        (
            name,
            *(_number(f["coste"][key], 2) for key in ("juicios", "tokens", "segundos_juicio")),
            _counted(f["coste"]["segundos_siguiente"], f["coste"].get("siguientes_medidos")),
            _number(f["coste"]["segundos_busqueda"], 2),
            str(f["sin_decidir"]),
        )
        for name, f in sets.items()
        if f.get("coste")
    ]
    columns = (
        "conjunto",
        "juicios",
        "tokens",
        "s de juicio",
        "s del 2.º juicio y siguientes (mediana; de cuántos)",
        "s de búsqueda",
        "sin decidir",
    )
    return Grid("Coste de una decisión (media)", columns, rows)


def _certified(certified: dict[str, Any]) -> Grid:
    """What would be done on the larger sample."""
    here = [*certified["conjuntos"].items(), ("TODOS", certified["umbral"])]
    rows = [
        (name, str(f["incidencias"]), str(f["automaticas"]), str(f["equivocadas"]), _share(f["cobertura"]))
        for name, f in here
    ]
    title = f"Muestra para certificar, con el umbral vigente ({certified['umbral']['umbral']:g})"
    return Grid(title, ("conjunto", "n", "automáticas", "equivocadas", "cobertura"), rows)


def _trials(total: dict[str, Any]) -> Grid:
    rows = [
        (
            name,
            *(
                _share(best["cobertura"]) if (best := risks[risk]["a_posteriori"]) else "0%"
                for risk in ("0.02", "0.05")
            ),
            f"{f['dentro']} de {f['divisiones']}" if f["certificadas"] else "—",
            str(f["certificadas"]),
            _share(f["peor"]) if f["certificadas"] else "—",
            _share(f["cobertura"]),
        )
        for name, f in _product_first(total.get("divisiones", {}))
        for risks in [total["riesgos"][name]]
    ]
    columns = (
        "método",
        "cobertura a posteriori al 2 %",
        "al 5 %",
        "mitades dentro",
        "con umbral certificado",
        "peor riesgo",
        "cobertura media",
    )
    return Grid("Riesgo del 5 % certificado en una mitad y medido en la otra", columns, rows)


def _product_first(methods: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from sorted(methods.items(), key=lambda item: (not item[0].startswith(PRODUCT), item[0]))


def _with_interval(figure: dict[str, Any]) -> str:
    if figure["valor"] is None:
        return "—"
    low, high = figure["intervalo"]
    return f"{figure['valor']:.3f} [{low:.2f}–{high:.2f}]"


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "—"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def _counted(value: float | None, count: int | None) -> str:
    return _number(value, 2) + (f" ({count})" if count else "")


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.0%}"


def _action(figures: dict[str, Any] | None) -> str:
    return f"{_share(figures['cobertura'])} / {_share(figures['precision'])}" if figures else "—"


def _hindsight(figures: dict[str, Any]) -> str:
    best, learnt = figures["a_posteriori"], figures["umbral_ajeno"]
    first = _share(best["cobertura"]) if best else "0%"
    return f"{first} → {_action(learnt)}" if learnt else first


def legend(result: dict[str, Any]) -> Sequence[str]:
    """What the tables were made with, and what to beware of."""
    sets = result["conjuntos"]
    lines = [
        f"Modelo {result['modelo']}, prompt {result['prompt']}, vectores {result['vectores']}, "
        f"semilla {result['semilla']}, reintentos {result['reintentos']}.",
        "Ajuste: " + "; ".join(f"{name}: {f['ajuste']}" for name, f in sets.items()) + ".",
    ]
    if result.get("sin_retirar"):
        lines.append("Las incidencias vienen como en su conjunto: a ninguna se le ha retirado la entrada correcta.")
    if WRITTEN not in result["total"].get("riesgos", {}):
        lines.append(
            f"Falta el método «{WRITTEN}»: no se pidió (--escrita N), o no había modelo que la pusiera (--solo-cache)."
        )
    undecided = sum(f["sin_decidir"] for f in sets.values())
    if undecided:
        lines.append(
            f"Sin decidir quedan {undecided} incidencias a las que les falta algún juicio: las decididas no son una "
            "muestra al azar. Repita sin --solo-cache."
        )
    return lines
