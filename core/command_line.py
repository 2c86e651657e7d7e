"""What every command shares: Spanish from the argument parser, and the exit codes of design §3."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from core.errors import DependencyError, StageError, UsageError
from core.steps import Unrecorded

_SPANISH = {
    "usage: ": "uso: ",
    "options": "opciones",
    "positional arguments": "argumentos",
    "show this help message and exit": "muestra esta ayuda y termina",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s: %(message)s",
    "the following arguments are required: %s": "falta indicar: %s",
    "one of the arguments %s is required": "hay que indicar uno de estos: %s",
    "unrecognized arguments: %s": "no se reconoce: %s",
    "not allowed with argument %s": "no se puede usar junto con %s",
    "ambiguous option: %(option)s could match %(matches)s": "%(option)s es ambigua; puede ser %(matches)s",
    "ignored explicit argument %r": "no lleva ningún valor, y se ha indicado %r",
    "expected one argument": "falta su valor",
    "expected at most one argument": "admite un valor como mucho",
    "expected at least one argument": "necesita al menos un valor",
    "expected %s argument": "necesita %s valor",
    "expected %s arguments": "necesita %s valores",
    "invalid %(type)s value: %(value)r": "valor no válido: %(value)r",
    "invalid choice: %(value)r (choose from %(choices)s)": "valor no válido: %(value)r (elija entre %(choices)s)",
    "unknown parser %(parser_name)r (choices: %(choices)s)": "no existe la orden %(parser_name)r (hay: %(choices)s)",
}
"""argparse's own texts -> ours. One that a later Python words in another way is shown as it is."""


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose own words are Spanish; with an epilog of examples, that and the description keep
    their lines."""

    def __init__(self, **settings: Any) -> None:
        # argparse looks its texts up through gettext, which asks the environment for the language and wants compiled
        # files beside the program; these two names are where it does so.
        vars(argparse).update(_=_translated, ngettext=_counted)
        if settings.get("epilog"):
            settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**settings)


def _translated(text: str) -> str:
    return _SPANISH.get(text, text)


def _counted(one: str, many: str, count: int) -> str:
    return _translated(one if count == 1 else many)


def exit_code(work: Callable[[], int | None], *, interrupted: str) -> int:
    """What `work` returns (None: 0), or the exit code of how it failed, said on standard error.

    2 for wrong usage or configuration, 3 for a dependency that cannot be reached, 130 for Ctrl-C, with `interrupted`:
    how things stand after it.
    """
    try:
        return work() or 0
    except UsageError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    except (DependencyError, StageError, Unrecorded) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 3
    except KeyboardInterrupt:
        sys.stderr.write(f"{interrupted}\n")
        return 130
