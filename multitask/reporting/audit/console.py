"""An audit on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multitask.reporting.audit.text import audit_sentences
from multitask.reporting.console import make_table, say, say_wrapped, score, show_table, with_interval
from multitask.utils.spelling import plural

if TYPE_CHECKING:
    from multitask.evaluation.suspects import Audit
    from multitask.reporting.audit.report_schema import CorrectionsReport


def show_audit(audit: Audit) -> None:
    """An audit on the console: how far it can be believed, head by head, and the most suspect."""
    say()
    for sentence in audit_sentences(audit):
        say_wrapped(sentence)
    say()
    columns = ("head", "judged by", "labels", "agree", "suspect", "listed", "probably wrong")
    table = make_table("suspect labels", columns, left=2)
    for row in audit.heads:
        counts = (row.num_suspects, row.num_listed, row.num_sure)
        table.add_row(
            row.head, row.unit, f"{row.num_units:,}", score(row.accuracy), *(f"{count:,}" for count in counts)
        )
    show_table(table)
    for task, share in audit.nearly.items():
        shares = f"in {share:.1%} of the groups {task} is the same in all images"
        say_wrapped(f"{shares}; if it should be in all: --constant {task}")
    if audit.suspects:
        say()
        table = make_table("the most suspect", ("label of", "given", "suggested", "confidence"), left=3)
        for suspect in audit.suspects[:10]:
            whose = suspect.images[0] if len(suspect.images) == 1 else suspect.group
            given, suggested = suspect.given, suspect.suggested
            table.add_row(f"{suspect.head} of {whose}", given, suggested, score(suspect.confidence))
        show_table(table)


def show_applied(report: CorrectionsReport) -> None:
    """Scores before and after corrections, under the corrected labels and under the given ones."""
    changed = ", ".join(f"{number} {name}" for name, number in report.num_changed.items() if number)
    say()
    say_wrapped(f"images whose labels the corrections changed: {changed or 'none'}")
    for labels, part in (("corrected", report.corrected), ("given", report.given)):
        say()
        of = f"{plural(part.num_images, 'image', 'images')} of {plural(part.num_groups, 'group', 'groups')}"
        title = f"under the {labels} labels: {of}"
        table = make_table(title, ("macro-F1 (95%)", "before", "after", "after less before (95%)"))
        found = {row.metric: row for row in part.differences}
        for metric, pair in part.scores.items():
            row = found[metric]
            texts = (with_interval(side.value, side.ci) for side in (pair.before, pair.after))
            table.add_row(
                metric.removeprefix("tasks.").removesuffix(".macro_f1"),
                *texts,
                f"{row.value:+.3f} ({row.low:+.3f} to {row.high:+.3f})",
                style="bold" if row.beyond_noise else "",
            )
        show_table(table)
