"""Label corrections: what is known to be wrong in the data, as data that says why, from whom, and how sure it is."""

from multitask.data.corrections.apply import Corrected, correct
from multitask.data.corrections.record import CorrectionsRecord
from multitask.data.corrections.settings import DROP, TIERS, Correction, CorrectionsSettings, read_corrections

__all__ = [
    "DROP",
    "TIERS",
    "Corrected",
    "Correction",
    "CorrectionsRecord",
    "CorrectionsSettings",
    "correct",
    "read_corrections",
]
