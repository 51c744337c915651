"""The audit's page: suspects to accept, reject or skip, and their export as corrections.

The one page with a script, since it is worked with: still one file, without any address outside itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from markupsafe import Markup

from multitask.data.colours import Decoding
from multitask.data.images import Preprocessing
from multitask.data.samples import Samples
from multitask.evaluation.suspects import Audit, HeadAudit, Suspect
from multitask.labels import JOINT
from multitask.progress import Progress
from multitask.reporting.audit.text import lead_sentences, left_out
from multitask.reporting.html import EmbeddedImage, embedded, render
from multitask.reporting.text import score_text

HEIGHT_PX = 200
"""Of an image on the page."""
PER_SUSPECT = 12
"""Images of one suspect that are shown at most."""
TIER = "strong"
"""Of an exported correction: a reviewer accepted it, and the network agrees."""


def render_audit(
    run: str,
    audit: Audit,
    shown: Sequence[Suspect],
    samples: Samples,
    aspect: float,
    progress: Progress,
    decoding: Decoding | None = None,
) -> str:
    """The page.

    Args:
        run: the run's name.
        audit: all that was found.
        shown: the suspects on the page, most suspect first.
        samples: where their images are.
        aspect: width by height of the images as they are shown, whole but for what that cuts off.
        progress: notified while images are read.
        decoding: how what is no plain 8-bit image becomes one.

    Raises:
        UserError: an image cannot be read.
    """
    thumbnails = Preprocessing((HEIGHT_PX, round(HEIGHT_PX * aspect)), decoding=decoding)
    done = progress.stage("reading suspects", len(shown), "suspects") if shown else None
    images: dict[str, EmbeddedImage] = {}
    rows = []
    for number, suspect in enumerate(shown, start=1):
        for image in suspect.images[:PER_SUSPECT]:
            if image not in images:
                images[image] = embedded(thumbnails.load(samples.path(image)))
        rows.append(_row(suspect))
        if done is not None:
            done(number)
    heads = [row.head for row in audit.heads]
    counts = {head: sum(suspect.head == head for suspect in shown) for head in heads}
    # What was decided is kept under this name: another audit's suspects are others.
    key = hashlib.sha256(json.dumps([run, [row.id for row in rows]]).encode()).hexdigest()[:16]
    data = {"key": key, "run": run, "tier": TIER, "suspects": list(map(asdict, rows)), "images": images}
    return render(
        "audit.html",
        title=f"Label audit of {run}",
        run=run,
        lede=_lede(audit, len(shown)),
        counting=_counting(audit),
        heads=[(head, counts[head]) for head in heads if counts[head]],
        num=len(shown),
        table=[_head_row(row) for row in audit.heads],
        nearly=[(task, f"{share:.1%}") for task, share in audit.nearly.items()],
        data=_script_json(data),
    )


@dataclass(frozen=True)
class _SuspectRow:
    """A suspect as the page's script reads it: ``images`` are the first few of ``num``, ``more`` how many are left."""

    id: str
    head: str
    group: str
    images: tuple[str, ...]
    more: int
    num: int
    given: str
    suggested: str
    probability: str
    confidence: str
    reason: str
    changes: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class _HeadRow:
    """A row of the table of heads: what was judged, the counts, and how the probabilities were pooled."""

    head: str
    unit: str
    cells: tuple[str, ...]
    words: str


def _row(suspect: Suspect) -> _SuspectRow:
    return _SuspectRow(
        id=f"{suspect.head}\n{suspect.group}\n{suspect.images[0]}\n{suspect.suggested}",
        head=suspect.head,
        group=suspect.group,
        images=suspect.images[:PER_SUSPECT],
        more=max(0, len(suspect.images) - PER_SUSPECT),
        num=len(suspect.images),
        given=suspect.given,
        suggested=suspect.suggested,
        probability=score_text(suspect.self_confidence),
        confidence=score_text(suspect.confidence, 2),
        reason=suspect.reason,
        changes=tuple(
            {"path": change.path, "field": change.task, "from": change.given, "to": change.suggested}
            for change in suspect.changes
        ),
    )


def _head_row(row: HeadAudit) -> _HeadRow:
    unit = {"group": "whole group", "image": "single image"}[row.unit]
    pooling = row.pooling
    words = f"temperature {pooling.temperature:.2f}, wrong labels fitted {pooling.noise:.1%}"
    if pooling.correlation is not None:
        words += f", correlation within a group {pooling.correlation:.2f}"
    counts = (f"{count:,}" for count in (row.num_suspects, row.num_listed, row.num_sure))
    head = "whole class" if row.head == JOINT else row.head
    cells = (f"{row.num_units:,}", score_text(row.accuracy), score_text(row.commonest), *counts)
    return _HeadRow(head, unit, cells, words)


def _lede(audit: Audit, num_shown: int) -> str:
    sentences = lead_sentences(audit)
    if num_shown < len(audit.suspects):
        sentences.append(f"The {num_shown:,} most suspect are shown.")
    return " ".join(sentences)


def _counting(audit: Audit) -> str:
    """The units of the counts, beside their table."""
    sentences = left_out(audit.heads)
    if audit.constant:
        verb = "is" if len(audit.constant) == 1 else "are"
        sentences.append(f"{' and '.join(audit.constant)} {verb} judged on all images of a group together.")
    return " ".join(sentences)


def _script_json(data: object) -> Markup:
    """JSON that no text inside can end the script element of."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
