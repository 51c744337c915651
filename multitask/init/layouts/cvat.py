"""CVAT for images 1.1: tags of images, and their attributes, in an XML file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import Images
from multitask.init.layouts.table import labelled_rows, of_rows
from multitask.utils.files import check_regular

_FILE = "annotations.xml"
_TAG = "tag"
"""The column of a tag's own label, where tags have several."""
_NAME, _SUBSET = "name of the file", "subset"


class CVAT(Layout):
    """``annotations.xml``, alone or beside ``images``; shapes in it are passed over."""

    title = "CVAT image tags"
    takes = frozenset({"images"})

    def fits(self) -> bool:
        """Whether it is an XML file, or a folder with an export's."""
        return self.path.suffix.lower() == ".xml" if self.path.is_file() else (self.path / _FILE).is_file()

    def observe(self, options: Options) -> Observed:
        """The images that have a tag; an attribute is a column, and so are labels of tags where there are several."""
        file = self.path / _FILE if self.path.is_dir() else self.path
        names, tags, order = _read(file)
        columns = _columns(tags)
        if not columns:
            raise UserError(f"{file}: no image has a tag; shapes (boxes, polygons) are no labels of images")
        rows = {_NAME: [name for name, _ in names], **columns}
        subsets = [subset for _, subset in names]
        if any(subsets):
            rows[_SUBSET] = subsets
        rows, left_out = labelled_rows(rows, columns)
        images = Images(options.images or file.parent)
        _, found = images.leading({_NAME: rows[_NAME]}, file)
        classes = {
            column: tuple(order[column])
            for column, words in columns.items()
            if column in order and {*filter(None, words)} <= {*order[column]}
        }
        return of_rows(
            file,
            rows,
            _NAME,
            found,
            images,
            None,
            classes=classes,
            assumed=(f"tags and their attributes in {file.name} are the labels",),
            check=left_out,
        )


def _read(path: Path) -> tuple[list[tuple[str, str]], list[list[tuple[str, dict[str, str]]]], dict[str, list[str]]]:
    """Name and subset of each image; its tags, each a label and attributes; the values of attributes in order."""
    check_regular(path)
    names: list[tuple[str, str]] = []
    tags: list[list[tuple[str, dict[str, str]]]] = []
    order: dict[str, list[str]] = {}
    try:
        for element in _elements(path):
            if element.tag == "image":
                names.append((element.get("name", ""), element.get("subset", "")))
                tags.append([(tag.get("label", ""), _attributes(tag)) for tag in element.findall("tag")])
                element.clear()
            elif element.tag == "attribute" and element.find("values") is not None:
                values = (element.findtext("values") or "").split("\n")
                kind = element.findtext("input_type")
                if kind in ("select", "radio"):
                    order[element.findtext("name") or ""] = [value.strip() for value in values if value.strip()]
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: is damaged, or no XML: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not names:
        raise UserError(f"{path}: holds no images; export as 'CVAT for images 1.1'")
    return names, tags, order


def _elements(path: Path) -> Iterator[ElementTree.Element]:
    """The elements of a file as they end.

    Raises:
        UserError: it declares entities, which may stand for billions of letters.
    """
    with path.open("rb") as file:
        if b"<!ENTITY" in file.read(65_536):
            raise UserError(f"{path}: declares entities, which no export of CVAT does")
    for _, element in ElementTree.iterparse(path):
        yield element


def _attributes(tag: ElementTree.Element) -> dict[str, str]:
    return {found.get("name", ""): (found.text or "").strip() for found in tag.findall("attribute")}


def _columns(tags: list[list[tuple[str, dict[str, str]]]]) -> dict[str, list[str]]:
    values: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # by attribute, by label
    for found in tags:
        for label, attributes in found:
            for name, value in attributes.items():
                values[name][label].add(value)
    alone = all(len(found) <= 1 for found in tags)
    shared = {name for name, of_label in values.items() if len(of_label) == 1 or (alone and _overlap(of_label))}
    num = len(tags)
    columns: dict[str, list[str]] = {}
    labels = sorted({label for found in tags for label, _ in found})
    if len(labels) > 1:
        if alone:
            columns[_TAG] = [found[0][0] if found else "" for found in tags]
        else:
            columns |= {label: ["yes" if label in dict(found) else "no" for found in tags] for label in labels}
    for row, found in enumerate(tags):
        for label, attributes in found:
            for name, value in attributes.items():
                column = name if name in shared else f"{label}_{name}"
                columns.setdefault(column, [""] * num)[row] = value
    return columns


def _overlap(values: Mapping[str, set[str]]) -> bool:
    """Whether an attribute means the same of several labels: some values are common, as of the colour of cars, vans."""
    return sum(map(len, values.values())) > len(set().union(*values.values()))
