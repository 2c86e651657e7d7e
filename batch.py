"""Builds the knowledge base from the catalogue: `python batch.py`."""

import argparse
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from core.command_line import Parser, exit_code

_EXAMPLES = """\
ejemplos:
  python batch.py                          pone al día la base con resources/PROBLEMAS_GLOBALES.csv
  python batch.py --catalogo nuevo.csv     usa otro catálogo
  python batch.py --completo               la rehace entera al lado y la cambia de una vez
  python batch.py --estricto               no guarda nada si alguna fila está mal
  python batch.py --resumir                prueba a guardar resúmenes de las filas; se quedan solo si se mide que
                                           mejoran la búsqueda. Para medirlo escriba resources/REDACCIONES.csv
                                           (TEXTO, COMPONENTE, DESCRIPCION): cómo contó alguien el problema y qué
                                           fila es; con menos de 20 no se resume nada
  python batch.py --documentos DIR         carga los documentos de una carpeta (txt, md, html, docx, pdf y .zip con
                                           ellos) para main.py --pregunta; solo lo que ha cambiado, y lo que ya no
                                           está se retira. Si se interrumpe, repita la orden: sigue por donde iba
  python batch.py --reindexar              rehace los vectores de los documentos con las valoraciones de --valorar
  python batch.py --llamadas FILE.csv      carga un registro de llamadas (una por fila: call_id, steps_history,
                                           final_status, error_code, user_segment, call_type, timestamp, notes) para
                                           main.py --patrones y --llamada; solo lo nuevo o cambiado. Otros nombres de
                                           columna, en resources/llamadas.toml o en --mapa. --sin-vectores acaba antes,
                                           pero sin llamadas parecidas; --completo olvida las cargadas

códigos de salida: 0 hecho; 2 uso, configuración o fichero incorrectos; 3 no se llega a una dependencia
"""


def _parser() -> Parser:
    parser = Parser(
        prog="python batch.py",
        description="Lleva el catálogo de problemas conocidos a la base de conocimiento.\nSolo se tocan las filas que "
        "han cambiado; si se interrumpe, sigue sirviendo la que había.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--catalogo", type=Path, metavar="FILE", help="catálogo (por defecto, el de los recursos)")
    parser.add_argument(
        "--correctivos", type=Path, metavar="FILE", help="correctivos abiertos (por defecto, si existe)"
    )
    parser.add_argument("--completo", action="store_true", help="rehace la base entera en lugar de solo lo cambiado")
    parser.add_argument("--resumir", action="store_true", help="resume las filas con el modelo, si se mide que ayuda")
    parser.add_argument("--sin-ejemplos", action="store_true", help="las filas se quedan sin incidencias de ejemplo")
    parser.add_argument("--estricto", action="store_true", help="una fila incorrecta es un error y no se guarda nada")
    documents = parser.add_mutually_exclusive_group()
    documents.add_argument("--documentos", type=Path, metavar="DIR", help="carga los documentos de esta carpeta")
    documents.add_argument("--reindexar", action="store_true", help="rehace los documentos con lo que se ha valorado")
    parser.add_argument("--llamadas", type=Path, metavar="FILE", help="carga este registro de llamadas (CSV)")
    parser.add_argument("--mapa", type=Path, metavar="FILE", help="qué columna es cuál (por defecto, llamadas.toml)")
    parser.add_argument("--sin-vectores", action="store_true", help="con --llamadas, no guarda vectores")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit code of design §3."""
    options = _parser().parse_args(arguments)
    return exit_code(
        lambda: print(_run(options)),
        interrupted="Interrumpido: sigue sirviendo la base de conocimiento que había.",
    )


def _run(options: argparse.Namespace) -> str:
    if options.documentos or options.reindexar:
        from core.document_session import carry_out

        return carry_out(options)
    if options.llamadas:
        return _calls(options)
    from config import load_settings
    from core.batch import CATALOGUE, fixes_beside, read_inputs, run_batch
    from core.build import open_knowledge, open_summariser
    from core.example_source import STAY, gather
    from core.examples import Examples
    from core.summaries import FILE_NAME, read_wordings
    from core.terminal import progress_bar
    from observabilidad.logs import open_logs

    settings = load_settings()
    resources = settings.directorio_recursos
    fixes = options.correctivos or fixes_beside(resources)
    inputs = read_inputs(options.catalogo or resources / CATALOGUE, fixes, strict=options.estricto)
    wordings = read_wordings(resources / FILE_NAME) if options.resumir else []
    examples = Examples() if options.sin_ejemplos else gather(settings)
    summariser = open_summariser(settings) if options.resumir else nullcontext()
    with (
        open_logs(settings),
        open_knowledge(settings) as knowledge,
        summariser as summarise,
        progress_bar() as progress,
    ):
        work = partial(run_batch, full=options.completo, summarise=summarise, wordings=wordings, progress=progress)
        outcome = work(inputs, knowledge, resources / "reportes", examples=examples)
    return outcome.summary() if examples is not None else f"{STAY}\n{outcome.summary()}"


def _calls(options: argparse.Namespace) -> str:
    from config import load_settings
    from core.calls.session import LoadOptions, load_calls
    from core.terminal import progress_bar

    vectors = not options.sin_vectores
    asked = LoadOptions(options.llamadas, options.mapa, options.completo, options.estricto, vectors)
    with progress_bar() as progress:
        return load_calls(load_settings(), asked, progress)


if __name__ == "__main__":
    sys.exit(main())
