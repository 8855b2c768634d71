"""Real trees with labels: the special methods in Python's own standard library, to be told from their syntax alone.

The set follows from the interpreter's own sources, so it is the same wherever the same Python runs.
"""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "construct": ("__init__",),
    "show": ("__repr__", "__str__"),
    "compare": ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
    "contain": ("__getitem__", "__setitem__", "__delitem__", "__contains__", "__len__", "__iter__", "__next__"),
    "guard": ("__enter__", "__exit__", "__aenter__", "__aexit__"),
    "copy": ("__reduce__", "__getstate__", "__setstate__", "__copy__", "__deepcopy__", "__hash__"),
}
"""What a method is for, and the names that say so. A tree does not hold its method's name."""

_KINDS: Final = " ".join(
    (
        "FunctionDef AsyncFunctionDef ClassDef Lambda arguments arg keyword Return Delete Assign AugAssign",
        "AnnAssign For AsyncFor While If With AsyncWith withitem Raise Try TryStar ExceptHandler Assert",
        "Import ImportFrom alias Global Nonlocal Expr Pass Break Continue Match match_case BoolOp And Or",
        "NamedExpr BinOp Add Sub Mult MatMult Div Mod Pow LShift RShift BitOr BitXor BitAnd FloorDiv UnaryOp",
        "Invert Not UAdd USub IfExp Dict Set ListComp SetComp DictComp GeneratorExp comprehension Await Yield",
        "YieldFrom Call FormattedValue JoinedStr Attribute Subscript Starred Name List Tuple Slice Compare Eq",
        "NotEq Lt LtE Gt GtE Is IsNot In NotIn str bytes int float bool NoneType",
    )
).split()
KIND_NUMBERS: Final = {name: number for number, name in enumerate(_KINDS, start=1)}
"""Numbers of the kinds of nodes; one more stands for every other kind. Constants have the kind of their type."""

KINDS: Final = len(_KINDS) + 2
"""How many numbers of kinds there are, 0 for padding included."""

_PARTS_OF_THEIR_OWN: Final = {
    *("site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "distutils"),
    *("ensurepip", "venv", "pydoc_data"),
}
"""Folders that some distributions leave out, or that are not of the standard library."""


def special_methods(nodes: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Trees of at most `nodes` nodes for `sojourn_trainer.tasks.recursive`, each form once, and what each is for.

    Returns:
        trees: int32 [rows, nodes, 3], of each node its kind and the places of its first child and of its next sibling;
        labels: int64 [rows], places in CLASSES.
    """
    labels = {name: label for label, names in enumerate(CLASSES.values()) for name in names}
    trees: list[np.ndarray] = []
    found: list[int] = []
    seen: set[bytes] = set()
    for function in _functions(Path(sysconfig.get_paths()["stdlib"])):
        if function.name not in labels:
            continue
        tree = encoded(function, nodes)
        if tree is not None and tree.tobytes() not in seen:
            seen.add(tree.tobytes())
            trees.append(tree)
            found.append(labels[function.name])
    return np.stack(trees), np.array(found, np.int64)


def encoded(tree: ast.AST, nodes: int) -> np.ndarray | None:
    """A tree as int32 [nodes, 3]: kind, first child, next sibling; children before parents, padding before all.

    None if it has more than `nodes` nodes.
    """
    if sum(not isinstance(node, ast.expr_context) for node in ast.walk(tree)) > nodes:
        return None
    # Read backwards, an order in which parents come before children and siblings in turn is one for the network.
    rows = np.zeros((nodes, 3), np.int32)
    place = nodes

    def put(node: ast.AST) -> int:
        nonlocal place
        mine = place
        place -= 1
        rows[mine - 1, 0] = _kind(node)
        before: int | None = None
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr_context):
                continue
            put_at = put(child)
            if before is None:
                rows[mine - 1, 1] = put_at
            else:
                rows[before - 1, 2] = put_at
            before = put_at
        return mine

    put(tree)
    return rows


def _kind(node: ast.AST) -> int:
    name = type(node.value).__name__ if isinstance(node, ast.Constant) else type(node).__name__
    return KIND_NUMBERS.get(name, KINDS - 1)


def _functions(root: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for path in sorted(root.rglob("*.py")):
        if _PARTS_OF_THEIR_OWN.isdisjoint(path.relative_to(root).parts):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node
