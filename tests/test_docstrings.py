"""Words: docstrings begin with the thing that they are about and say something, and one idea has one word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "multitask"
MODULES = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
ROUNDABOUT = re.compile(r"(What|How|Who|Whom|Whose|Which|Where|Whether|When|Why|That)\b")
EMPTY = re.compile(r"(As it is|As they are|Says which|Draws|Of course|Itself|Likewise|The same|Those|That|It)\.?\Z")
ABANDONED = {
    "image": re.compile("picture", re.IGNORECASE),
    "group": re.compile("person|people", re.IGNORECASE),
    "the thing's own name": re.compile(r"\b(material|gallery|ledger|assembly)\b", re.IGNORECASE),
}
PERSONS = ("data/synthetic/", "data/sources/synthetic.py", "data/sources/competition.py", "cli/demo.py", "cli/synth.py")
"""Where a group is a person: the mask competition, and the faces that are drawn in its place."""
ALLOWED = re.compile(
    r"\(a person\)|gender of a person|a person with two ids|accepted by a person|where a person reads"
    r'|draw_set\(|PEOPLE|people: int|people: how many are drawn|people=people|f"person \{row'
)
"""A group of which a person is the example, people in front of a screen, and sets of drawn faces."""


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """Name and docstring of the module and of everything in it that has one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node)
            if doc is not None:
                yield getattr(node, "name", ""), doc


def lines_with(word: re.Pattern[str], source: str) -> list[str]:
    """The lines that have an abandoned word, but for the allowed ones."""
    return [line.strip() for line in source.splitlines() if word.search(line) and not ALLOWED.search(line)]


def test_no_module_docstring_begins_with_a_question() -> None:
    docs = {name: ast.get_docstring(ast.parse(source)) for name, source in MODULES.items()}
    assert not [f"{name}: {doc}" for name, doc in docs.items() if ROUNDABOUT.match(doc or "")]


def test_no_docstring_says_nothing() -> None:
    assert not [
        f"{name}: {thing}: {doc}"
        for name, source in MODULES.items()
        for thing, doc in docstrings(source)
        if EMPTY.match(doc) or doc.rstrip(".").replace(" ", "_").lower() == thing.lower()
    ]


@pytest.mark.parametrize("term", ABANDONED)
def test_one_idea_has_one_word(term: str) -> None:
    persons = PERSONS if term == "group" else ()
    found = {
        name: lines
        for name, source in MODULES.items()
        if not name.startswith(persons) and (lines := lines_with(ABANDONED[term], source))
    }
    assert not found, f"the word is {term}"


@pytest.mark.parametrize("template", sorted(PACKAGE.rglob("*.html")), ids=lambda path: path.name)
def test_pages_have_the_same_words(template: Path) -> None:
    source = template.read_text(encoding="utf-8")
    assert not [line for term in ("image", "group") for line in lines_with(ABANDONED[term], source)]


def test_configs_studies_and_readmes_say_image() -> None:
    texts = [
        *ROOT.glob("*.md"),
        *PACKAGE.rglob("*.md"),
        *(ROOT / "configs").rglob("*.*"),
        *(ROOT / "studies").glob("*.*"),
    ]
    assert len(texts) > 20
    assert not [path.name for path in texts if lines_with(ABANDONED["image"], path.read_text(encoding="utf-8"))]


def test_what_breaks_a_rule_is_found() -> None:
    assert ROUNDABOUT.match("How a run stands.")
    assert not ROUNDABOUT.match("Howitzers.")
    assert list(docstrings('"""As it is."""\ndef f():\n    """Draws."""')) == [("", "As it is."), ("f", "Draws.")]
    assert all(EMPTY.match(doc) for doc in ("As it is.", "Draws."))
    assert not EMPTY.match("Draws the frame.")
    assert lines_with(ABANDONED["image"], "a Picture\nan image") == ["a Picture"]
    assert lines_with(ABANDONED["group"], "one of the people\nof a group (a person)") == ["one of the people"]
