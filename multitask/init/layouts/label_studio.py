"""Label Studio: choices, numbers and ratings of images, in its JSON or JSON-MIN export."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from multitask.data.formats import SUFFIXES
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import Images
from multitask.init.layouts.table import labelled_rows, of_rows
from multitask.init.words import kind_of
from multitask.utils.files import check_regular
from multitask.utils.spelling import plural
from multitask.utils.strings import Strings

_HEAD_BYTES = 65_536
_NAME = "name of the file"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
_OWN = frozenset(("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"))
"""Keys of JSON-MIN that are not of the labelling."""
Answers = dict[str, str]
"""What one annotator says of an image, by the control's name."""


class LabelStudio(Layout):
    """A ``.json`` export, alone or in a folder with the images."""

    title = "Label Studio choices"
    takes = frozenset({"images"})

    def fits(self) -> bool:
        """Whether it is a JSON file, or a folder with one export."""
        return self.path.suffix.lower() == ".json" if self.path.is_file() else _export(self.path) is not None

    def observe(self, options: Options) -> Observed:
        """The tasks that somebody answered; of several answers what most say."""
        file = self.path if self.path.is_file() else _export(self.path)
        assert file is not None, "as fits says"
        tasks = _read(file)
        names: list[str] = []
        answers: list[list[Answers]] = []
        for number, task in enumerate(tasks):
            name = _image(task)
            if name is None:
                raise UserError(f"{file}: entry {number} names no image in its data")
            names.append(name)
            answers.append(list(_answers(task)))
        controls = sorted({control for found in answers for answer in found for control in answer})
        if not controls:
            raise UserError(f"{file}: holds no choices, numbers or ratings of images")
        voted = {control: [_majority(found, control) for found in answers] for control in controls}
        split = [control for control in controls if sum(word is None for word in voted[control])]
        check = [
            f"annotators disagree on {control} of "
            f"{plural(sum(word is None for word in voted[control]), 'image', 'images')}, on which "
            "neither side has more votes: taken for unknown"
            for control in split
        ]
        columns = {control: [word or "" for word in words] for control, words in voted.items()}
        beside = _beside(tasks, {_NAME, *controls}, options)
        columns, left_out = labelled_rows({_NAME: names, **columns, **beside}, controls)
        images = Images(options.images or file.parent)
        _, found = images.leading({_NAME: [_stored(name, images) for name in columns[_NAME]]}, file)
        return of_rows(
            file,
            columns,
            _NAME,
            found,
            images,
            None,
            assumed=(f"choices, numbers and ratings in {file.name} are the labels; of several annotations most count",),
            check=(*left_out, *check),
        )


def _export(folder: Path) -> Path | None:
    """The one export in a folder; None where there is none."""
    found = []
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with file.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
        if head.lstrip().startswith(b"[") and (b'"annotations"' in head or b'"annotation_id"' in head):
            found.append(file)
    return found[0] if len(found) == 1 else None


def _read(path: Path) -> list[dict[str, Any]]:
    check_regular(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of which no UTF-8 is one
        raise UserError(f"{path}: is damaged, or no JSON: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(data, list) or not data or not all(isinstance(task, dict) for task in data):
        raise UserError(f"{path}: is no export of Label Studio: must be a list of tasks")
    return data


def _image(task: Mapping[str, Any]) -> str | None:
    """What a task calls its image."""
    data = task.get("data")
    values = data if isinstance(data, dict) else task
    for value in values.values():
        if isinstance(value, str):
            url = urlsplit(value)
            name = unquote(parse_qs(url.query).get("d", [url.path])[0])
            if Path(name).suffix.lower() in SUFFIXES:
                return name.lstrip("/")
    return None


def _beside(tasks: Sequence[Mapping[str, Any]], taken: Set[str], options: Options) -> dict[str, list[str]]:
    """Of what a task's data holds beside its image, the groups, the split and what the user names, a word for each.

    Nobody annotated the rest, so that it is no label by itself.
    """
    data = [task["data"] if isinstance(task.get("data"), dict) else {} for task in tasks]
    found = {}
    for name in dict.fromkeys(name for fields in data for name in fields if name not in taken):
        words = [_word(fields.get(name)) for fields in data]
        if name in (*options.labels, options.group) or kind_of(name, Strings.of(words)).name in ("group", "split"):
            found[name] = words
    return found


def _stored(name: str, images: Images) -> str:
    """The name of an image without what Label Studio puts before that of an upload, where nothing is called so."""
    uploaded = _UPLOADED.fullmatch(name.rpartition("/")[2])
    return name if uploaded is None or images.has_name(name.rpartition("/")[2]) else uploaded[1]


def _answers(task: Mapping[str, Any]) -> Iterable[Answers]:
    annotations = task.get("annotations")
    if isinstance(annotations, list):
        for annotation in annotations:
            if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
                yield _results(annotation.get("result"))
    elif "data" not in task:  # JSON-MIN
        words = {key: _word(value) for key, value in task.items() if key not in _OWN}
        image = _image(task)
        yield {key: word for key, word in words.items() if word and not word.endswith(str(image))}


def _results(results: object) -> Answers:
    found: Answers = {}
    for result in results if isinstance(results, list) else ():
        if not isinstance(result, dict) or result.get("type") not in ("choices", "number", "rating"):
            continue
        value = result.get("value")
        word = _word(value.get(result["type"])) if isinstance(value, dict) else ""
        if word:
            found[str(result.get("from_name", "label"))] = word
    return found


def _word(value: object) -> str:
    """A label as a word: of several choices all, in order."""
    if isinstance(value, dict):
        value = value.get("choices")
    if isinstance(value, list):
        return " and ".join(sorted(str(item) for item in value if not isinstance(item, (dict, list))))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)


def _majority(answers: Iterable[Answers], control: str) -> str | None:
    """What most say; empty where nobody says anything, None where two answers have as many votes."""
    votes = Counter(answer[control] for answer in answers if control in answer).most_common(2)
    if not votes:
        return ""
    return None if len(votes) == 2 and votes[0][1] == votes[1][1] else votes[0][0]
