"""``multitask explain``."""

from __future__ import annotations

import html
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from multitask.inference.predictor import Predictor
from multitask.reporting.explain.report_schema import EvidenceReport
from multitask.reporting.explain.text import percent_text
from multitask.testing import tiny_run
from multitask.utils.records import read_record
from tests.cli.conftest import Called


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("explain"))


def images_of(trained: Path) -> list[Path]:
    return sorted((trained.parent / "set" / "eval" / "images").iterdir())


def test_images_and_folders_become_a_page(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more" / "inside"
    folder.mkdir(parents=True)
    Image.new("L", (60, 80), 90).save(folder / "grey.png")
    (folder / "note.txt").write_text("no image")
    out, first = tmp_path / "why.html", images_of(trained)[0]
    done = call("explain", trained, first, tmp_path / "more", "-o", out)
    assert done.code == 0, done.err
    assert str(out) in done.out
    text = out.read_text(encoding="utf-8")
    assert text.count("as the network sees it</b>") == 2
    assert first.name in re.sub("<wbr>", "", text)


def test_a_page_has_its_limit(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    folder = images_of(trained)[0].parent
    done = call("explain", trained, folder, "-o", tmp_path / "why.html", "--limit", 3)
    assert done.code == 0
    num = len(images_of(trained))
    assert f"the first 3 of {num} images are explained; --limit takes more" in " ".join(done.out.split())
    text = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert text.count("as the network sees it</b>") == 3
    assert f"They are the first of {len(images_of(trained))}." in text


def test_of_standard_input_it_is_known_how_many_images_there_are_once_they_are_read(
    call: Callable[..., Called], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = "".join(f"{path}\n" for path in images_of(trained)[:2])
    for limit, options in ((1, []), (1, ["--groups-by-folder"]), (2, [])):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        done = call("explain", trained, "-", "-o", tmp_path / "why.html", "--limit", limit, *options)
        assert done.code == 0, done.err
        assert f"explaining: {limit} image" in done.out
        text = (tmp_path / "why.html").read_text(encoding="utf-8")
        assert ("They are the first; there are more." in text) == (limit == 1)


def test_a_name_that_is_no_text_is_written_out(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    Image.new("L", (60, 80), 90).save(folder / os.fsdecode(b"n\xff.png"))
    out = tmp_path / "why.html"
    assert call("explain", trained, folder, "-o", out).code == 0
    assert "n\\udcff.png" in re.sub("<wbr>", "", out.read_text(encoding="utf-8"))


def test_mistakes_are_a_line_and_write_nothing(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "why.html"
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    good = images_of(trained)[0]
    (tmp_path / "empty").mkdir()
    assert "name the images to explain" in call("explain", trained, "-o", out).refusal()
    assert "nothere.jpg" in call("explain", trained, tmp_path / "nothere.jpg", "-o", out).refusal()
    assert "empty" in call("explain", trained, tmp_path / "empty", "-o", out).refusal()
    assert "bad.jpg" in call("explain", trained, good, bad, "-o", out).refusal()
    assert "is a folder" in call("explain", trained, good, "-o", tmp_path).refusal()
    assert "there is no folder" in call("explain", trained, good, "-o", tmp_path / "no" / "why.html").refusal()
    assert "ends in .html" in call("explain", trained, good, "-o", tmp_path / "why.txt").refusal()
    assert "no run" in call("explain", tmp_path / "empty", good, "-o", out).refusal()
    assert "no gradients" in call("explain", bad, good, "-o", out).refusal()
    assert "only torch has the gradients" in call("explain", trained, good, "-o", out, "--engine", "openvino").refusal()
    skipped = call("explain", trained, bad, "-o", out, "--on-error", "skip").refusal()
    assert "none of 1 image can be read; the first: " in skipped
    line = call("explain", trained, "--audit", "--on-error", "skip").refusal()
    assert "--on-error: would be ignored: it is for PATHs" in line
    assert not out.exists()


def test_what_cannot_be_read_is_skipped_where_that_is_asked_for(
    call: Callable[..., Called], trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    paths, out = [images_of(trained)[0], tmp_path / "bad.jpg", images_of(trained)[1]], tmp_path / "why.html"
    done = call("explain", trained, *paths, "-o", out, "--on-error", "skip", "--engine", "auto")
    assert done.code == 3
    assert "1 image could not be read, as the page says" in " ".join(done.out.split())
    text = re.sub("<wbr>", "", out.read_text(encoding="utf-8"))
    assert text.count("as the network sees it</b>") == 2
    assert "Left out, since they could not be read:" in text
    assert "bad.jpg: " in text
    assert "They are the first" not in text


def test_what_a_group_is_answered_is_explained(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    """Two images that differ, of which only the first is explained, and both are asked."""
    folder = trained.parent / "set" / "train" / "images"
    people = sorted(folder.iterdir())
    first, second = sorted(people[0].glob("*.jpg"))[0], sorted(people[-1].glob("*.jpg"))[0]
    (tmp_path / "table.csv").write_text(f"path,who\n{first},a\n{second},a\n")
    options, out = ["--group-column", "who", "--limit", 1], tmp_path / "why.html"
    assert call("explain", trained, tmp_path / "table.csv", "-o", out, *options).code == 0
    text = re.sub("<wbr>", "", out.read_text(encoding="utf-8"))
    predictor = Predictor.load(trained)
    one, _ = predictor.predict([first, second], groups=["a", "a"])
    alone = predictor.predict(first)
    label, prob = one.labels["gender"], percent_text(one.probs["gender"][one.labels["gender"]])
    assert prob != percent_text(alone.probs["gender"][label])
    assert f"<b>gender</b><span class=part>{label}</span>, {prob}</figcaption>" in text
    assert "They are the first of 2." in text


def test_an_audit_leaves_page_and_figures(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.html"
    done = call("explain", trained, "--audit", "--region", 0, 0, 0.5, 0.5, "-o", out, "--limit", 2)
    assert done.code == 0, done.err
    report = read_record(tmp_path / "audit.json", EvidenceReport)
    assert report.region == (0, 0, 0.5, 0.5)
    assert [row.head for row in report.heads] == ["mask", "gender", "age", "joint"]
    assert report.heads[0].area == 0.25
    text = out.read_text(encoding="utf-8")
    assert "Evidence in the region" in text
    assert all(html.escape(sentence) in text for sentence in report.sentences)
    assert text.count("as the network sees it</b>") == 2
    words = " ".join(done.out.split())
    assert all(sentence in words for sentence in report.sentences)
    assert "odds ratio (95%)" in words


def test_an_audits_place_is_in_the_run(call: Callable[..., Called], trained: Path) -> None:
    assert call("explain", trained, "--audit", "--region", 0, 0, 1, 0.5, "--split", "train", "-q").code == 0
    assert sorted(path.name for path in (trained / "explain").iterdir()) == ["train.html", "train.json"]


def test_an_audits_mistakes(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    assert "the data has no boxes" in call("explain", trained, "--audit").refusal()
    assert "leave out x.jpg" in call("explain", trained, "x.jpg", "--audit").refusal()
    assert "--split test" in call("explain", trained, "--audit", "--split", "test", "--region", 0, 0, 1, 1).refusal()
    assert "--region: must be" in call("explain", trained, "--audit", "--region", 0, 0, 0, 1).refusal()
    model = tmp_path / "yunet.onnx"
    assert str(model) in call("explain", trained, "--audit", "--face-model", model).refusal()
    both = ["--region", 0, 0, 1, 1, "--face-model", model]
    assert "the one or the other" in call("explain", trained, "--audit", *both).refusal()
    assert "ignored without --audit" in call("explain", trained, "x.jpg", "--split", "val", "-o", "p.html").refusal()
    assert "-o: name the page" in call("explain", trained, "x.jpg").refusal()
