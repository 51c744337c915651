"""Module docstrings begin with the thing that they are about."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "multitask"
ROUNDABOUT = re.compile(r"(What|How|Who|Whose|Which|Where|Whether|When)\b")


def test_no_module_docstring_begins_with_a_question() -> None:
    docs = {path: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in PACKAGE.rglob("*.py")}
    assert not [f"{path.relative_to(PACKAGE)}: {doc}" for path, doc in docs.items() if ROUNDABOUT.match(doc or "")]
