"""The findings of an audit, in sentences that begin with the surest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from multitask.labels import JOINT
from multitask.reporting.text import score_text
from multitask.utils.spelling import plural

if TYPE_CHECKING:
    from multitask.evaluation.suspects import Audit, HeadAudit


def audit_sentences(audit: Audit) -> list[str]:
    """How many suspects are probably errors, how good the networks are that say so, and what the list leaves out."""
    return [*lead_sentences(audit), *left_out(audit.heads)]


def lead_sentences(audit: Audit) -> list[str]:
    """Those that must be read first."""
    return [*_lead(audit), *_quality(audit.heads)]


def _lead(audit: Audit) -> list[str]:
    num, sure = len(audit.suspects), audit.num_sure
    if not num:
        return ["No label is suspect."]
    if num == 1:
        which = f"The one suspect label is {'' if sure else 'not '}more probably wrong than right"
    else:
        count = f"{sure:,}" if sure else "None"
        which = f"{count} of {num:,} suspect labels {'is' if sure <= 1 else 'are'} more probably wrong than right"
    rest = "" if sure else ": a list to look through, not to correct by"
    return [f"{which}, errors being as rare as fitted{rest}."]


def _quality(heads: Iterable[HeadAudit]) -> list[str]:
    """How often the networks agree with the labels, and for which heads they are no better than one fixed answer."""
    known = [row for row in heads if row.num_units]
    weak = [row for row in known if not row.beats_commonest]
    sentences = []
    if known:
        shares = ", ".join(f"{score_text(row.accuracy)} of {_whose(row)}" for row in known)
        sentences.append(f"Networks that never saw the images agree with {shares}.")
    if weak:
        shares = ", ".join(f"{row.head} {score_text(row.commonest)}" for row in weak)
        sentences.append(
            f"One fixed answer would do as well within noise ({shares}): such suspects are rather the networks’ own "
            "errors than the labels’."
        )
    return sentences


def _whose(row: HeadAudit) -> str:
    return "the whole classes" if row.head == JOINT else f"the {row.head} labels"


def left_out(heads: Iterable[HeadAudit]) -> list[str]:
    """Why not all that is suspect is listed; none where all is."""
    return [
        f"Of the {plural(row.num_suspects, 'suspect class', 'suspect classes')} as a whole {row.num_listed:,} "
        f"{'is' if row.num_listed == 1 else 'are'} listed; {row.num_suspects - row.num_listed:,} would change nothing "
        "that the suspects of single tasks do not change already."
        for row in heads
        if row.num_listed < row.num_suspects
    ]
