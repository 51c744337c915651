"""Importances of a study's parameters, by an evaluator that is named."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator

from multitask.reporting.study.report_schema import ImportancesBasis, Trial
from multitask.utils.spelling import plural

EVALUATOR = "PED-ANOVA"
"""Watanabe et al. 2023, https://arxiv.org/abs/2304.10255, with parameters that only some trials have by
https://arxiv.org/abs/2601.20800. fANOVA, Optuna's default before version 5, leaves those out."""
FEWEST_TRIALS = 8
FEWEST_BEST = 5
"""Of the best trials: fewer say little of what they have in common."""
BEST_SHARE = 0.1


@dataclass(frozen=True)
class Importances:
    """Importances, or the reason why there are none.

    Attributes:
        shares: per parameter, of 1; None: unknown.
        missing: why they are.
        about: what the shares are and rest on; None where there are none.
    """

    shares: dict[str, float | None] | None
    missing: str | None
    about: ImportancesBasis | None = None


def parameter_importances(study: Study, finished: Sequence[Trial], metric: str) -> Importances:
    """Each parameter's share of what tells a study's best trials from all.

    Args:
        study: Optuna's, with one objective.
        finished: the report's rows of its finished trials.
        metric: the objective.
    """
    num = len(finished)
    if num < FEWEST_TRIALS:
        return Importances(
            None, f"{plural(num, 'finished trial is', 'finished trials are')} too few; {FEWEST_TRIALS} are needed"
        )
    if len({row.values[0] for row in finished if row.values}) == 1:
        return Importances(None, "all finished trials have the same score")
    num_best = min(num // 2, max(FEWEST_BEST, math.ceil(BEST_SHARE * num)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=num_best / num)
    try:
        with warnings.catch_warnings():
            # Of a setting that a single trial has not got, as the base where it is outside of the space.
            warnings.filterwarnings("ignore", message="Some regimes for parameter")
            warnings.simplefilter("ignore", ExperimentalWarning)
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError) as error:
        return Importances(None, str(error).splitlines()[0])
    shares: dict[str, float | None] = {name: value for name, value in found.items() if math.isfinite(value)}
    if not shares:
        return Importances(None, "no setting was tried in enough trials")
    have = Counter(name for row in finished for name in row.params)
    trials = {name: have[name] for name in shares}
    about = ImportancesBasis(
        evaluator=EVALUATOR,
        num_best=num_best,
        num_trials=num,
        trials=trials,
        conditional=tuple(name for name, count in trials.items() if count < num),
        sentence=(
            f"{EVALUATOR}: how much a setting’s value decides whether a trial is among the best {num_best} of {num} "
            f"finished ones by {metric}; not how much of the differences between all of them it explains."
        ),
    )
    return Importances(shares, None, about)
