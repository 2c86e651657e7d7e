"""Calls of an automatic telephone service: loaded, why they fail, one call explained."""

from typing import Any


def analizar_fallo_rapido(
    *, call_type: str = "", failure_step: str, failure_reason: str = "", customer_segment: str = ""
) -> dict[str, Any]:
    """Why a call failed, from what little is known of it: `python main.py --llamada` for Python.

    `failure_step`: where it failed, or its whole way («Inicio -> Menú pagos -> Validación de tarjeta»);
    `failure_reason`: its error code. Returns what `--llamada … --json` prints: `explicacion` is a list of causes with
    the evidence that each rests on, or «no hay evidencia». Raises `UsageError` where no calls are loaded.
    """
    from core.calls.session import analyse

    return analyse(call_type, failure_step, failure_reason, customer_segment)


__all__ = ["analizar_fallo_rapido"]
