"""Every file of a folder is accounted for; nothing outside it is read, and no archive is unpacked without end."""

import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from core.documents.document import ReadingLimits, Unreadable
from core.documents.folder import Found, LeftOut, documents_in
from core.errors import UsageError

_LIMITS = ReadingLimits(bytes=2_000, unpacked=5_000, members=5)


def _zip(files: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _listed(folder: Path) -> dict[str, Found | LeftOut]:
    return {item.source: item for item in documents_in(folder, _LIMITS)}


def _why(item: Found | LeftOut) -> str:
    if isinstance(item, LeftOut):
        return item.why
    with pytest.raises(Unreadable) as raised:
        item.load()
    return str(raised.value)


def test_documents_of_every_kind_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.MD", "a.txt", "sub/c.pdf", "d.docx", "e.htm"):
        (tmp_path / name).write_text(name)
    found = _listed(tmp_path)
    assert list(found) == ["a.txt", "b.MD", "d.docx", "e.htm", "sub/c.pdf"]
    assert [item.load().decode() for item in found.values() if isinstance(item, Found)] == list(found)


def test_links_are_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "dentro", tmp_path / "fuera"
    inside.mkdir()
    outside.mkdir()
    (outside / "secreto.txt").write_text("secreto")
    (inside / "enlace.txt").symlink_to(outside / "secreto.txt")
    (inside / "carpeta").symlink_to(outside)
    (inside / "roto.txt").symlink_to(inside / "nada")
    found = _listed(inside)
    assert list(found) == ["carpeta", "enlace.txt", "roto.txt"]
    assert all("enlace" in _why(item) for item in found.values())


def test_a_file_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("bien")
    [item] = documents_in(tmp_path, _LIMITS)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "a.txt").symlink_to("/etc/hostname")
    assert "no se puede leer" in _why(item)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("vacio.txt", b"", "vacío"),
        ("grande.txt", b"x" * 2_001, "LIMITE_DOCUMENTO_MB"),
        ("hoja.xlsx", b"x", "de este tipo"),
        (".oculto.txt", b"x", "oculto"),
        ("~$abierto.docx", b"x", "oculto"),
        ("roto.zip", b"PK\x03\x04nada", "dañado"),
        ("nada.zip", _zip({}), "ningún fichero"),
        ("muchos.zip", _zip({f"{n}.txt": b"x" for n in range(6)}), "ficheros"),
        ("bomba.zip", _zip({"a.txt": b"0" * 100_000}), "desempaquetado"),
    ],
    ids=["empty", "large", "other-kind", "hidden", "lock", "broken-zip", "empty-zip", "many-members", "zip-bomb"],
)
def test_what_is_left_out_says_why(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(data)
    [item] = documents_in(tmp_path, _LIMITS)
    assert why in _why(item)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tubo.txt")
    [item] = documents_in(tmp_path, _LIMITS)
    assert "corriente" in _why(item)


def test_a_zip_that_holds_itself_has_an_end(tmp_path: Path) -> None:
    inner = _zip({"b.txt": b"dos", "otra.zip": _zip({"c.txt": b"tres"})})
    (tmp_path / "a.zip").write_bytes(_zip({"a.zip": inner, "a.txt": b"uno", "x.bin": b"1", "__MACOSX/a.txt": b"1"}))
    found = _listed(tmp_path)
    assert [source for source, item in found.items() if isinstance(item, Found)] == ["a.zip/a.txt"]
    assert "dentro de otro" in _why(found["a.zip/a.zip"])
    assert set(found) == {"a.zip/a.txt", "a.zip/a.zip", "a.zip/x.bin", "a.zip/__MACOSX/a.txt"}


def test_members_are_read_and_damaged_ones_told(tmp_path: Path) -> None:
    data = bytearray(_zip({"a.txt": os.urandom(400), "b.md": b"bien"}))
    data[60] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(bytes(data))
    found = _listed(tmp_path)
    good = found["a.zip/b.md"]
    assert isinstance(good, Found)
    assert good.load() == b"bien"
    assert "dañado" in _why(found["a.zip/a.txt"])


def test_names_in_a_zip_cannot_leave_it(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(_zip({"../fuera.txt": b"uno"}))
    [item] = documents_in(tmp_path, _LIMITS)
    assert item.source == "a.zip/../fuera.txt"
    assert _why(item) == "es un fichero oculto o temporal"  # `..` starts with a dot


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nada"):
        list(documents_in(tmp_path / "nada", _LIMITS))
