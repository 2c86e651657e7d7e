"""A prompt file: a short front matter, a system part and a user part, checked when it is loaded.

    ---
    task: keywords
    description: …
    variables: incidencia
    max_tokens: 120
    ---
    # sistema
    …
    # usuario
    <incidencia>
    {incidencia}
    </incidencia>

`{{` and `}}` stand for braces. Values are hostile text: they go in once, are never expanded again, and cannot close
the block they stand in nor imitate the marks of a chat template.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from core.errors import UsageError

ROLES = {"system": "system", "human": "user", "ai": "assistant"}
"""LangChain's types of message -> the roles of chat templates and of the OpenAI shape."""

_KEYS = ("task", "description", "variables", "max_tokens")
_SECTIONS = ("sistema", "usuario")
_BRACES = re.compile(r"\{\{|\}\}|\{([a-z][a-z_]*)\}|[{}]")
_HEADING = re.compile(r"^# +(\w+) *$")

# Our own placeholders (<NIF_1>) are the only tags that a text may carry: they must come back letter by letter.
_TAG = re.compile(r"<(?![A-Z][A-Z_]*_\d+>)(?=\s*(?:[/|<!?_｜]|[^\W\d]))")
_BRACKET_MARK = re.compile(
    r"\[(?=\s*/?\s*(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|IMG|THINK)\s*\])", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def neutralised(text: str) -> str:
    """`text` with nothing that could close a block or pass for a chat template's mark; placeholders stay as they are.

    llama.cpp reads `<|im_end|>` inside a message as the real end of the turn, so it must not get through.
    """
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _BRACKET_MARK.sub("(", _TAG.sub("‹", text))


@dataclass(frozen=True)
class _Part:
    """A template cut at its variables: literal, variable, literal, variable, …, literal."""

    pieces: tuple[str, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        return self.pieces[1::2]

    def fill(self, values: dict[str, str]) -> str:
        return "".join(values[piece] if i % 2 else piece for i, piece in enumerate(self.pieces))


@dataclass(frozen=True)
class Prompt:
    """One task's prompt. `version` is the first 12 hexadecimal digits of the file's SHA-256."""

    task: str
    description: str
    variables: tuple[str, ...]
    max_tokens: int
    """The longest reply, in tokens."""
    source: str
    """The file's content."""
    digest: str
    system: _Part
    user: _Part

    @property
    def version(self) -> str:
        return self.digest[:12]

    @classmethod
    def load(cls, path: Path, variables: Collection[str] | None = None) -> "Prompt":
        """Read and check a prompt file; with `variables`, it must use exactly these.

        Raises `UsageError` naming the file and the line.
        """
        try:
            content = path.read_bytes()
            source = content.decode("utf-8")
        except OSError as error:
            raise UsageError(f"No se puede leer el prompt {path}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise UsageError(f"{path}, línea {line}: no está en UTF-8. Guárdelo en UTF-8.") from error
        prompt = _Reader(path, source).prompt(hashlib.sha256(content).hexdigest())
        if variables is not None and set(variables) != set(prompt.variables):
            raise UsageError(
                f"{path}: «variables» debe ser «{', '.join(sorted(variables))}» y es «{', '.join(prompt.variables)}»."
            )
        return prompt

    def render(self, **values: str) -> list[BaseMessage]:
        """The messages with the values in place, neutralised. Raises `ValueError` unless all variables are given."""
        if values.keys() != set(self.variables):
            raise ValueError(f"prompt {self.task!r} takes {self.variables}, not {tuple(values)}")
        safe = {name: neutralised(value) for name, value in values.items()}
        return [SystemMessage(self.system.fill(safe)), HumanMessage(self.user.fill(safe))]


def versions(directory: Path) -> dict[str, str]:
    """Task -> version of every prompt file of the folder. Raises `UsageError` for one that does not hold."""
    return {path.stem: Prompt.load(path).version for path in sorted(directory.glob("*.md"))}


class _Reader:
    """Reads one file; knows its path and lines for the errors."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._lines = source.splitlines()

    def prompt(self, digest: str) -> Prompt:
        fields, end = self._front_matter()
        variables = self._variables(fields)
        parts = self._parts(end, variables)
        used = {name for part in parts.values() for name in part.variables}
        for name in variables:
            if name not in used:
                raise self._error(fields["variables"][1], f"la variable «{name}» no se usa en el texto")
        return Prompt(
            task=self._task(fields),
            description=fields["description"][0],
            variables=variables,
            max_tokens=self._max_tokens(fields),
            source=self._source,
            digest=digest,
            system=parts["sistema"],
            user=parts["usuario"],
        )

    def _error(self, line: int, what: str) -> UsageError:
        return UsageError(f"{self._path}, línea {line}: {what}.")

    def _front_matter(self) -> tuple[dict[str, tuple[str, int]], int]:
        """Key -> (value, line), and the number of the closing line."""
        if not self._lines or self._lines[0].strip() != "---":
            raise self._error(1, "falta la cabecera entre dos líneas «---»")
        fields: dict[str, tuple[str, int]] = {}
        for number, line in enumerate(self._lines[1:], start=2):
            if line.strip() == "---":
                for key in _KEYS:
                    if key not in fields:
                        raise self._error(number, f"falta «{key}» en la cabecera")
                return fields, number
            key, colon, value = (piece.strip() for piece in line.partition(":"))
            if not colon or key not in _KEYS:
                raise self._error(number, f"clave desconocida «{key}»; se admiten {', '.join(_KEYS)}")
            if key in fields:
                raise self._error(number, f"«{key}» está repetida")
            if not value and key != "variables":
                raise self._error(number, f"«{key}» está vacía")
            fields[key] = value, number
        raise self._error(len(self._lines), "la cabecera no se cierra con «---»")

    def _task(self, fields: dict[str, tuple[str, int]]) -> str:
        task, line = fields["task"]
        if task != self._path.stem:
            raise self._error(line, f"«task» debe ser el nombre del fichero, «{self._path.stem}», y es «{task}»")
        return task

    def _max_tokens(self, fields: dict[str, tuple[str, int]]) -> int:
        text, line = fields["max_tokens"]
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 8192:
            raise self._error(line, f"«max_tokens» debe ser un entero de 1 a 8192 y es «{text}»")
        return int(text)

    def _variables(self, fields: dict[str, tuple[str, int]]) -> tuple[str, ...]:
        text, line = fields["variables"]
        names = tuple(name.strip() for name in text.split(",")) if text else ()
        for name in names:
            if not re.fullmatch(r"[a-z][a-z_]*", name):
                raise self._error(line, f"«{name}» no vale como nombre de variable (letras minúsculas y _)")
        if len(set(names)) < len(names):
            raise self._error(line, "hay variables repetidas")
        return names

    def _parts(self, end: int, variables: tuple[str, ...]) -> dict[str, _Part]:
        starts: dict[str, int] = {}
        for number, line in enumerate(self._lines[end:], start=end + 1):
            heading = _HEADING.match(line)
            if heading:
                name = heading[1]
                if name not in _SECTIONS or name in starts:
                    raise self._error(number, f"parte «{name}» desconocida o repetida; son «# sistema» y «# usuario»")
                starts[name] = number
            elif not starts and line.strip():
                raise self._error(number, "hay texto antes de «# sistema»")
        if tuple(starts) != _SECTIONS:
            raise self._error(len(self._lines), "debe haber «# sistema» y después «# usuario»")
        limits = {"sistema": starts["usuario"] - 1, "usuario": len(self._lines)}
        return {name: self._part(starts[name], limits[name], variables) for name in _SECTIONS}

    def _part(self, start: int, end: int, variables: tuple[str, ...]) -> _Part:
        """The lines after the heading's number `start` up to line `end`."""
        text = "\n".join(self._lines[start:end])
        if not text.strip():
            raise self._error(start, "esta parte está vacía")
        leading = len(text) - len(text.lstrip())
        pieces, literal, position = [], "", leading
        for match in _BRACES.finditer(text):
            line = start + 1 + text.count("\n", 0, match.start())
            literal += text[position : match.start()]
            position = match.end()
            if match[0] in ("{{", "}}"):
                literal += match[0][0]
            elif match[1] is None:
                raise self._error(line, "llave suelta; escriba «{{» o «}}» si debe verse")
            elif match[1] not in variables:
                raise self._error(line, f"la variable «{match[1]}» no está en «variables»")
            else:
                pieces += [literal, match[1]]
                literal = ""
        return _Part((*pieces, (literal + text[position:]).rstrip()))
