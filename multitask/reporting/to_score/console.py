"""The console's part for times to a score: a row per seed and mark, then the ratios over seeds."""

from __future__ import annotations

from multitask.reporting.console import make_table, say, say_wrapped, show_table
from multitask.reporting.to_score.report_schema import ToScoreReport
from multitask.reporting.to_score.text import at_text, number_text, range_text, summary_rows


def show_to_score(report: ToScoreReport) -> None:
    """Every seed's marks and when they were reached, and whether what is wanted is reached."""
    by_wall = report.clock == "wall"
    groups = sorted({row.num_groups for row in report.seeds})
    validate = " or ".join(f"{num:,}" for num in groups)
    clock = "on the wall" if by_wall else "of the processor"
    say_wrapped(f"{report.metric} of the {validate} groups that validate in both; time {clock}")
    for name in ("plain", "recipe"):
        say_wrapped(f"{name}: {getattr(report, name) or 'as shipped, on drawn images'}")
    say()
    columns = ("seed", "the plain run's", "score", "epoch", "recipe first", "ratio", "for good", "ratio")
    table = make_table("", columns, left=2)
    for row in report.seeds:
        for what, found in (("last", row.last), ("best", row.best)):
            table.add_row(
                f"{row.seed}",
                f"{what} epoch",
                number_text(found.plain.score),
                at_text(found.plain, by_wall),
                at_text(found.first, by_wall),
                number_text(found.ratio),
                at_text(found.stays, by_wall),
                number_text(found.stays_ratio),
            )
    show_table(table)
    say()
    table = make_table("", ("to the plain run's", "median", "all seeds", "at most", "reached by", ""))
    for text, found_over in summary_rows(report):
        table.add_row(
            text,
            number_text(found_over.median),
            range_text(found_over),
            number_text(report.wanted),
            f"{found_over.num_reached} of {len(report.seeds)}",
            "reached" if found_over.is_reached else "not reached",
            style="" if found_over.is_reached else "bold red",
        )
    show_table(table)
