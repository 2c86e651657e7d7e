"""Draws the screenshots of the demo incidents: `python -m api.mocks.screenshots` writes them for the desk.

The files are checked in; run it again only after changing a window. It needs the DejaVu fonts: Pillow's own has no
accents.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from api.mocks.content import ATTACHMENTS

_SIZE = (1000, 560)
_MARGIN = 60
_COLOURS = 64
"""Palette size: keeps each file far below 60 kB without blurring the text."""


@dataclass(frozen=True)
class Window:
    """A program's main window with an error dialog on top."""

    name: str
    application: str
    menu: str
    fields: tuple[tuple[str, str], ...]
    title: str
    lines: tuple[str, ...]
    buttons: tuple[str, ...]
    accent: str


WINDOWS = (
    Window(
        name="captura-104885.png",
        application="Siniestros - Expediente 2219/004731",
        menu="Expediente   Económico   Documentos   Agenda   Ayuda",
        fields=(("Ramo", "Hogar"), ("Situación", "En trámite"), ("Garantía", "Daños por agua")),
        title="Cierre de expediente",
        lines=(
            "No se puede cerrar el expediente.",
            "Reserva pendiente de liberar: 350,00 €",
            "Libere la reserva y repita el cierre.",
        ),
        buttons=("Aceptar",),
        accent="#7a1f2b",
    ),
    Window(
        name="captura-104892.png",
        application="Outlook - Bandeja de entrada",
        menu="Archivo   Inicio   Enviar y recibir   Vista   Ayuda",
        fields=(("Carpeta", "Bandeja de entrada"), ("Elementos", "48.213"), ("Sin leer", "17")),
        title="Microsoft Outlook",
        lines=(
            "El buzón está lleno: ha alcanzado su cuota.",
            "No puede enviar ni recibir mensajes",
            "hasta que reduzca el tamaño del buzón.",
        ),
        buttons=("Aceptar", "Ayuda"),
        accent="#1b5a96",
    ),
    Window(
        name="captura-104899.png",
        application="Emisión - Nueva póliza",
        menu="Pólizas   Presupuestos   Suplementos   Consulta   Ayuda",
        fields=(("Mediador", "Oficina directa"), ("Ramo", "Comunidades"), ("Modalidad", "Completa")),
        title="Emisión - Aviso",
        lines=(
            "Perfil sin autorización para el ramo:",
            "COMUNIDADES",
            "Consulte con el administrador de accesos.",
        ),
        buttons=("Cerrar",),
        accent="#2d6b3c",
    ),
)


def draw(window: Window) -> Image.Image:
    """The window as an RGB picture."""
    image = Image.new("RGB", _SIZE, "#eceff2")
    pen = ImageDraw.Draw(image)
    _draw_application(pen, window)
    _draw_dialog(pen, window)
    return image


def write(folder: Path) -> list[Path]:
    """Draw every window into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for window in WINDOWS:
        path = folder / window.name
        draw(window).quantize(_COLOURS).save(path, optimize=True)
        paths.append(path)
    return paths


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size)


def _draw_application(pen: ImageDraw.ImageDraw, window: Window) -> None:
    width, height = _SIZE
    pen.rectangle((0, 0, width, 44), fill=window.accent)
    pen.text((16, 10), window.application, font=_font(20, bold=True), fill="white")
    pen.text((width - 40, 8), "×", font=_font(24), fill="white")
    pen.rectangle((0, 44, width, 80), fill="#f8f9fa")
    pen.text((16, 50), window.menu, font=_font(18), fill="#333333")
    for row, (label, value) in enumerate(window.fields):
        top = 94 + 40 * row
        pen.text((16, top + 6), label, font=_font(18), fill="#333333")
        pen.rectangle((150, top, 520, top + 32), fill="white", outline="#b5bcc4")
        pen.text((160, top + 5), value, font=_font(18), fill="#111111")
    pen.rectangle((0, height - 30, width, height), fill="#d9dee3")


def _draw_dialog(pen: ImageDraw.ImageDraw, window: Window) -> None:
    width, height = _SIZE
    left, top, right, bottom = _MARGIN, 224, width - _MARGIN, height - 42
    pen.rectangle((left + 6, top + 6, right + 6, bottom + 6), fill="#c2c8ce")
    pen.rectangle((left, top, right, bottom), fill="white", outline="#6c757d", width=2)
    pen.rectangle((left, top, right, top + 44), fill="#e4e7ea")
    pen.text((left + 16, top + 10), window.title, font=_font(20, bold=True), fill="#222222")
    pen.ellipse((left + 24, top + 76, left + 84, top + 136), fill="#c62828")
    pen.text((left + 46, top + 82), "!", font=_font(38, bold=True), fill="white")
    for row, line in enumerate(window.lines):
        pen.text((left + 112, top + 64 + 42 * row), line, font=_font(28), fill="#111111")
    for place, button in enumerate(reversed(window.buttons)):
        edge = right - 20 - 170 * place
        pen.rectangle((edge - 150, bottom - 60, edge, bottom - 16), fill="#f1f3f5", outline="#6c757d")
        pen.text((edge - 75, bottom - 38), button, font=_font(20), fill="#111111", anchor="mm")


def main() -> int:
    """Write the screenshots; 3 when the fonts are missing."""
    try:
        paths = write(ATTACHMENTS)
    except OSError as error:
        sys.stderr.write(f"No se pueden dibujar las capturas: {error}. Instale las fuentes DejaVu.\n")
        return 3
    for path in paths:
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
