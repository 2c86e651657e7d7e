"""Every line that the code logs: named in the table of facts, with a message in Spanish and no text pasted in."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from config import ROOT
from observabilidad.facts import ACTIONS

_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_ENGLISH = re.compile(r"\b(the|not|is|was|were|has|have|with|from|failed|cannot|call|calls|answered|lost|desk)\b")


@dataclass(frozen=True)
class Said:
    """One `logger.…` call."""

    where: str
    message: str | None
    action: str | None


def _calls(source: str, name: str) -> Iterator[Said]:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "logger"):
            continue
        texts = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        pasted = isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
        action = next((_action(k.value, tree) for k in node.keywords if k.arg == "extra"), None)
        yield Said(f"{name}:{node.lineno}", None if pasted else " ".join(texts), action)


def _action(extra: ast.expr, tree: ast.AST) -> str | None:
    """Written in the call, in a dictionary of that name, or in the function called."""
    name = extra.id if isinstance(extra, ast.Name) else None
    called = extra.func.id if isinstance(extra, ast.Call) and isinstance(extra.func, ast.Name) else None
    places: list[ast.AST] = [extra]
    for node in ast.walk(tree):
        assigned = isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        if (name and assigned) or (called and isinstance(node, ast.FunctionDef) and node.name == called):
            places.append(node)
    names = {n.id for n in ast.walk(extra) if isinstance(n, ast.Name)}
    places += [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id in names for t in n.targets)
    ]
    for place in places:
        for node in ast.walk(place):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "action" and isinstance(value, ast.Constant):
                        return str(value.value)
    return None


SAID = [
    said
    for package in ("core", "llm", "api", "observabilidad")
    for path in sorted((ROOT / package).rglob("*.py"))
    for said in _calls(path.read_text("utf-8"), str(path.relative_to(ROOT)))
]


def test_every_line_has_an_action_of_the_table() -> None:
    assert {said.where: said.action for said in SAID if said.action not in ACTIONS} == {}


def test_the_table_tells_of_no_line_that_nobody_logs() -> None:
    assert set(ACTIONS) - {said.action for said in SAID} == set()


def test_messages_are_spanish_and_hold_no_facts() -> None:
    wrong = {s.where: s.message for s in SAID if not s.message or _ENGLISH.search(s.message.casefold())}
    assert wrong == {}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("logger.info('uno', extra={'action': 'a', 'n': 1})", ("uno", "a")),
        ("logger.info(f'uno {x}', extra={'action': 'a'})", (None, "a")),
        ("logger.info('the desk')", ("the desk", None)),
        ("f = {'action': 'b'}\nlogger.error('uno', extra=f)", ("uno", "b")),
        ("f = {'action': 'b'}\nlogger.error('uno', extra={**f, 'n': 1})", ("uno", "b")),
        ("def facts():\n    return {'action': 'c'}\nlogger.error('uno', extra=facts())", ("uno", "c")),
    ],
    ids=["plain", "pasted", "none", "named", "spread", "function"],
)
def test_the_search_finds_calls(source: str, said: tuple[str | None, str | None]) -> None:
    (found,) = _calls(source, "x.py")
    assert (found.message, found.action) == said
