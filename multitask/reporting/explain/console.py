"""An audit of evidence on the console."""

from __future__ import annotations

from multitask.reporting.console import make_table, say, say_wrapped, score, show_table, with_interval
from multitask.reporting.explain.report_schema import EvidenceReport
from multitask.reporting.explain.text import FAR_VERDICTS, counted, evidence_rows, part_name, row_name


def show_evidence(report: EvidenceReport) -> None:
    """Where the evidence of each head lies, beside the area that it would lie on by chance."""
    say()
    for sentence in report.sentences:
        say_wrapped(sentence)
    say()
    table = make_table(
        f"evidence in {part_name(report.part)}", ("head", "images", "inside (95%)", "area", "odds ratio (95%)")
    )
    for row in evidence_rows(report):
        odds = "-"
        if row.odds is not None and row.odds_ci is not None:
            odds = f"{row.odds:.2f} ({row.odds_ci[0]:.2f} to {row.odds_ci[1]:.2f})"
        table.add_row(
            row_name(row),
            f"{row.num_images:,}",
            with_interval(row.share, row.ci),
            score(row.area),
            odds,
            style="bold" if row.verdict in FAR_VERDICTS else "",
        )
    show_table(table)
    say_wrapped(f"of {counted(report)}")
