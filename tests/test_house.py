"""The rules of the house that no other tool holds: sizes, forbidden calls, and documentation that matches."""

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "throughtime"
MODULES = sorted(SOURCE.rglob("*.py"))
PACKAGES = [path for path in MODULES if path.name == "__init__.py"]
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "torch.save", "torch.load", "pickle.load", "pickle.dump"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def too_long(path: Path) -> Iterator[str]:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > LONGEST_MODULE:
        yield f"the module has {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - documentation(node)
            if length > LONGEST_FUNCTION:
                yield f"line {node.lineno}: {node.name} has {length} lines without its docstring"


def documentation(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def forbidden(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            for name in sorted(imported & FORBIDDEN_IMPORTS):
                yield f"line {node.lineno}: imports {name}"
        if isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in FORBIDDEN_CALLS:
            yield f"line {node.lineno}: calls {called}"


def unchecked(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {ast.unparse(base).split("[")[0] for base in node.bases}
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if "Protocol" in bases and "runtime_checkable" not in decorators:
            yield f"line {node.lineno}: {node.name} is not @runtime_checkable, so signatures cannot be checked"


def more_than_exports(path: Path) -> Iterator[str]:
    for index, node in enumerate(tree(path).body):
        docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        exported = isinstance(node, ast.ImportFrom) and all(alias.asname == alias.name for alias in node.names)
        listed = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__version__")
        if not (docstring or future or exported or listed):
            yield f"line {node.lineno}: {ast.unparse(node).splitlines()[0]}"


def unexplained(thing: object, name: str) -> Iterator[str]:
    text = getattr(thing, "__doc__", None)
    if not text:
        yield f"{name} has no docstring"
    elif not doctest.DocTestParser().get_examples(text):
        yield f"the docstring of {name} has no example"


def public(module: ModuleType) -> Iterator[tuple[str, object]]:
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for name in names:
        thing = getattr(module, name)
        own = getattr(thing, "__module__", "").startswith("throughtime")
        if own and callable(thing) and not (isinstance(thing, type) and issubclass(thing, Exception)):
            yield name, thing


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_are_short(path: Path) -> None:
    assert list(too_long(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_read_from_disk_is_ever_run(path: Path) -> None:
    assert list(forbidden(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_protocols_can_be_checked(path: Path) -> None:
    assert list(unchecked(path)) == []


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_packages_only_export(path: Path) -> None:
    assert list(more_than_exports(path)) == []


def test_every_public_name_is_explained_by_an_example() -> None:
    names = dict(public(importlib.import_module("throughtime")))
    assert names, "throughtime exports nothing"
    assert [fault for name, thing in names.items() for fault in unexplained(thing, name)] == []


def test_commands_named_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    # Commands stand in `code` or on a line of their own in a block.
    named = {
        (page.name, target)
        for page in pages
        for target in re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"demo", "test"} <= {target for page, target in named if page == "README.md"}
    assert [command for command in sorted(named) if command[1] not in targets] == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (too_long, "x = 1\n" * 401),
        (too_long, "def f():\n" + "    x = 1\n" * 60),
        (forbidden, "from pickle import loads"),
        (forbidden, "import torch\ntorch.load('x')"),
        (forbidden, "eval('1')"),
        (unchecked, "class P(Protocol):\n    x: int"),
        (more_than_exports, "from .a import b"),
        (more_than_exports, "from .a import b as b\nb()"),
    ],
)
def test_the_rules_can_fail(rule, code: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(code, encoding="utf-8")
    assert len(list(rule(path))) == 1
