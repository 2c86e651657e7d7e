"""A folder of mixed documents, some broken, some with personal data: what goes in, what does not, what is kept."""

import random
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from qdrant_client import QdrantClient

from api.mocks.documents import WRITERS, as_pdf, file_name
from bench.result import Measure
from bench.synthetic import HashEmbedder
from core.documents.collection import DocumentBase
from core.documents.document import ReadingLimits
from core.documents.load import Loader
from core.documents.outcome import State
from core.privacy import PersonalData
from llm.documents.reader import IsolatedReader
from llm.embed import E5Use
from llm.native import threads

_TOPICS = "recibos suplementos siniestros peritos comisiones reclamaciones bajas portal impresoras certificados".split()
_SAYS = (
    "El plazo para {} es de {} días desde que se recibe la solicitud completa.",
    "Quien atiende {} comprueba primero los datos del expediente número interno {}.",
    "Si falta algún papel de {}, se pide por correo y se espera {} días antes de archivar.",
    "El responsable de {} revisa una muestra de {} casos cada semana y anota lo que encuentra.",
    "En {} no se admite ningún cambio después de {} meses sin permiso de la dirección.",
)
_PERSONAL = (
    "12345678Z", "X1234567L", "ES9121000418450200051332", "maria.gil@correo.example", "612345678", "+34 655 12 34 56",
    "4539 1488 0343 6467",
)  # fmt: skip


def mixed_documents(folder: Path, count: int, seed: int = 1) -> tuple[int, list[str]]:
    """`count` documents of every kind and one broken of each; (how many good ones, what personal data is in them).

    One in twenty is a scan: it takes seconds to read.
    """
    chance = random.Random(seed)  # noqa: S311 - made-up text, no secret
    kinds = ["md", "txt", "html", "docx", "pdf"]
    broken = dict(_broken())
    good = count - len(broken)
    for number in range(good):
        kind = "scan" if number % 20 == 19 else kinds[number % len(kinds)]
        personal = _PERSONAL[number % len(_PERSONAL)] if number % 3 == 0 else ""
        text = _text(chance, number, personal)
        (folder / file_name(f"documento-{number:03d}-{kind}", kind)).write_bytes(WRITERS[kind](text))
    for name, data in broken.items():
        (folder / name).write_bytes(data)
    return good, list(_PERSONAL)


def _text(chance: random.Random, number: int, personal: str) -> str:
    topic = chance.choice(_TOPICS)
    lines = [f"# Manual {number} de {topic}"]
    for section in range(3):
        lines.append(f"## Apartado {section + 1}: {chance.choice(_TOPICS)}")
        lines += [chance.choice(_SAYS).format(topic, chance.randint(2, 90)) for _ in range(6)]
    if personal:
        lines.insert(3, f"El caso de prueba es el de Marta Gil, con {personal}, y no debe salir de aquí.")
    return "\n\n".join(lines)


def _broken() -> Iterator[tuple[str, bytes]]:
    """One of each kind, and what people send by mistake."""
    whole = "# Manual\n\n" + "Una frase que nadie podrá leer. " * 20
    yield "roto.pdf", as_pdf(whole)[:300]
    yield "con-clave.pdf", as_pdf(whole, "secreto")
    yield "roto.docx", WRITERS["docx"](whole)[:5_000]
    yield "antiguo.docx", b"\xd0\xcf\x11\xe0" + bytes(500)
    yield "roto.txt", b"texto\x00\x01\x02binario" * 50
    yield "roto.md", b"\xff\xfe\x00"
    yield "roto.html", b"<html><script>var x</script></html>"
    yield "celda.html", b"<table><tr><td>" + b"celda " * 1_700_000 + b"</td></tr></table>"
    yield "vacio.txt", b""
    yield "ciclo.zip", _cyclic()


def _cyclic() -> bytes:
    """A .zip that holds a .zip like itself, and nothing else."""
    data = b""
    for _ in range(3):
        out = BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("ciclo.zip", data)
        data = out.getvalue()
    return data


def measure_documents(count: int = 200) -> list[Measure]:
    """With the real converters and the real privacy; hashed vectors, since it is not the embedder that is measured."""
    with TemporaryDirectory(prefix="spai-bench-") as place:
        folder = Path(place)
        good, personal = mixed_documents(folder, count)
        limits, client, embedder = ReadingLimits(), QdrantClient(location=":memory:"), HashEmbedder()
        base = DocumentBase(client, embedder)
        try:
            with IsolatedReader(limits, threads()) as reader:
                loader = Loader(base, reader, PersonalData(), E5Use().tokens, limits)
                start = time.perf_counter()
                first = loader.load(folder)
                seconds = time.perf_counter() - start
                before = base.stored()
                second = loader.load(folder)
            stored = base.stored()
        finally:
            client.close()
    loaded = sum(outcome.state is State.LOADED for outcome in first)
    told = sum(bool(outcome.why) for outcome in first)
    same = sum(outcome.state is State.SAME for outcome in second)
    payloads = "\n".join(str(piece.payload()) for piece in stored.values())
    leaked = sum(value in payloads or value.replace(" ", "") in payloads for value in personal)
    sizes = [piece.tokens for piece in stored.values()]
    return [
        Measure(
            f"documentos: {count} ficheros mezclados, de ellos {count - good} rotos",
            "todos cuentan",
            f"{loaded} cargados, {told} con su motivo; {len(stored)} piezas de {min(sizes)} a {max(sizes)} tokens",
            loaded + told,
            loaded == good and told == len(first) - good and len(first) >= count,
            {"segundos": seconds, "motivos": {o.source: o.why for o in first if o.why}},
        ),
        Measure(
            "documentos: segunda carga", "no toca ninguno", f"{same} iguales", same, same == good and stored == before
        ),
        Measure("documentos: datos personales sembrados", "0 en lo guardado", str(leaked), leaked, leaked == 0),
    ]
