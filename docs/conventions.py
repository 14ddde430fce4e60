"""For mkdocstrings: the conventions of this code base that it does not know by itself."""

import ast
import re
from typing import Any

import griffe


class Conventions(griffe.Extension):
    """`from .gru import GRU as GRU` makes `GRU` a public name; a section `Example:` is code that runs."""

    def on_alias_instance(self, *, node: Any, alias: griffe.Alias, **kwargs: Any) -> None:
        if isinstance(node, ast.ImportFrom):
            alias.public = any(item.name == item.asname == alias.name for item in node.names)

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
