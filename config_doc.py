"""The settings as people read them: allowed values, `.env.example`, the READMEs' tables. Knows any settings model."""

import types
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

START, END = "<!-- configuracion:inicio -->", "<!-- configuracion:fin -->"
Language = Literal["es", "en"]

_HEADERS: Mapping[Language, str] = {
    "es": "| variable | por omisión | se admite | para qué |\n|---|---|---|---|",
    "en": "| variable | default | allowed | what for |\n|---|---|---|---|",
}
_WORDS: Mapping[Language, Mapping[str, str]] = {
    "es": {
        "url": "URL http:// o https://",
        "path": "ruta",
        "text": "texto",
        "characters": "caracteres",
        "empty": "vacía",
        "or": "o vacía",
        "more than": "más de",
        "up to": "hasta",
    },
    "en": {
        "url": "http:// or https:// URL",
        "path": "path",
        "text": "text",
        "characters": "characters",
        "empty": "empty",
        "or": "or empty",
        "more than": "more than",
        "up to": "up to",
    },
}


def documentation(en: str, *, unit: str = "", form: str = "", secret: bool = False) -> dict[str, Any]:
    """What a field's `json_schema_extra` says: English description, unit, form of a text, and whether it is secret.

    `unit` and `form` may hold both languages as `español|English`.
    """
    return {"en": en, "unit": unit, "form": form, "secret": secret}


def _extra(field: FieldInfo, key: str) -> Any:
    return field.json_schema_extra.get(key) if isinstance(field.json_schema_extra, dict) else None


def _localised(text: str | None, language: Language) -> str:
    spanish, _, english = (text or "").partition("|")
    return english or spanish if language == "en" else spanish


def _kind(field: FieldInfo) -> tuple[Any, bool]:
    """The field's type without `None`, and whether `None` was there."""
    annotation = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return members[0], len(members) < len(get_args(annotation))
    return annotation, False


def is_secret(field: FieldInfo) -> bool:
    """True when its value must not be shown."""
    return _kind(field)[0] is SecretStr or bool(_extra(field, "secret"))


def _number(value: Any) -> str:
    return f"{value:g}" if abs(value) < 1e5 else str(int(value))


def _range(field: FieldInfo, words: Mapping[str, str]) -> str:
    """`0.1–300`, written with the point that the setting itself needs; '' where there is no bound."""
    low = high = ""
    for bound in field.metadata:
        match bound:
            case Ge(ge=value):
                low = _number(value)
            case Gt(gt=value):
                low = f"{words['more than']} {_number(value)}"
            case Le(le=value):
                high = _number(value)
            case Lt(lt=value):
                high = _number(value)
            case MinLen(min_length=value):
                low = _number(value)
            case MaxLen(max_length=value):
                high = _number(value)
    if low and high:
        return f"{low}, {words['up to']} {high}" if " " in low else f"{low}–{high}"
    return low or high


def allowed(field: FieldInfo, language: Language = "es") -> str:
    """The values it may have, with their unit: `DESA, PROD`, `0.1–300 s`, `URL http:// o https://, o vacía`."""
    words = _WORDS[language]
    kind, optional = _kind(field)
    form = _localised(_extra(field, "form"), language)
    bounds = _range(field, words)
    if form:
        text = form
    elif get_origin(kind) is Literal:
        text = ", ".join(get_args(kind))
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        text = ", ".join(kind)
    elif kind is Path:
        text = words["path"]
    elif kind in (str, SecretStr):
        text = f"{bounds} {words['characters']}" if bounds else words["text"]
    else:
        text = f"{bounds} {_localised(_extra(field, 'unit'), language)}".strip()
    return f"{text}, {words['or']}" if optional else text


def _default(field: FieldInfo) -> str:
    """As `.env` would write it; '' for none."""
    value = field.default
    if value is None:
        return ""
    text = _number(value) if isinstance(value, float) else str(value)
    return f'"{text}"' if text != text.strip() or "#" in text else text


def _description(field: FieldInfo, language: Language) -> str:
    return field.description or "" if language == "es" else str(_extra(field, "en") or "")


def env_example(model: type[BaseModel]) -> str:
    """The whole of `.env.example`: every setting at its default, with what it does and what it admits."""
    parts = [
        "# Copie este fichero como .env y cambie lo que necesite. Lo que queda vacío toma su valor por omisión.\n"
        "# Se genera con `python -m config --escribir`: no lo edite a mano.\n"
    ]
    for name, field in model.model_fields.items():
        parts.append(
            f"# {_description(field, 'es')}\n# Se admite: {allowed(field)}.\n{name.upper()}={_default(field)}\n"
        )
    return "\n".join(parts)


def table(model: type[BaseModel], language: Language) -> str:
    """The README's table in Markdown."""
    rows = [_HEADERS[language]]
    for name, field in model.model_fields.items():
        default = f"`{_default(field)}`" if _default(field) else _WORDS[language]["empty"]
        values = allowed(field, language).replace("|", "\\|")
        rows.append(f"| `{name.upper()}` | {default} | {values} | {_description(field, language)} |")
    return "\n".join(rows)


def _with_table(page: str, content: str, name: str) -> str:
    """The page with what stands between the markers replaced. ValueError: the markers are not there, once each."""
    if page.count(START) != 1 or page.count(END) != 1 or page.index(START) > page.index(END):
        raise ValueError(f"{name} no tiene las marcas {START} y {END}, una vez cada una y en ese orden")
    return page[: page.index(START) + len(START)] + f"\n{content}\n" + page[page.index(END) :]


def generated(model: type[BaseModel], root: Path) -> dict[Path, str]:
    """Every generated file and what it should hold. ValueError or OSError: a README without markers, or none."""
    files = {root / ".env.example": env_example(model)}
    pages: tuple[tuple[str, Language], ...] = (("README.md", "en"), ("README.es.md", "es"))
    for name, language in pages:
        path = root / name
        files[path] = _with_table(path.read_text(encoding="utf-8"), table(model, language), name)
    return files


def out_of_date(model: type[BaseModel], root: Path) -> list[Path]:
    """The generated files that do not hold what they should."""
    return [
        path
        for path, content in generated(model, root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]


def write(model: type[BaseModel], root: Path) -> list[Path]:
    """Brings the generated files up to date; returns those that changed."""
    changed = out_of_date(model, root)
    for path, content in generated(model, root).items():
        if path in changed:
            path.write_text(content, encoding="utf-8")
    return changed
