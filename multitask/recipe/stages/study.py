"""A study: settings that Optuna searches on the groups that pick, and the best goes before the judges."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from multitask.config import Config
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings, of_length
from multitask.recipe.stages.candidates import AS_IT_STANDS, half_of_judged
from multitask.reporting.study.text import time_text
from multitask.settings import Changes, Epochs, Float, Trials, validate
from multitask.settings.yaml_text import read_yaml
from multitask.study.parameters import AnyEntry
from multitask.study.settings import Plan, StudySettings
from multitask.utils.spelling import plural

if TYPE_CHECKING:
    from multitask.recipe.lab import Lab
    from multitask.reporting.study.report_schema import StudyReport

START_S = 12.0
"""Until a study's worker has imported what it needs: 8 s of a processor, and what it then does for the first time."""
_SHOWN = 5
"""Trials that the page tells of; the study's own page has all."""


class StudyStageSettings(StageSettings):
    """Searches how much each head's loss counts and how strongly images are changed, or a space of yours."""

    name: Literal["study"] = "study"
    title: ClassVar[str] = "Study"
    space: Annotated[dict[str, AnyEntry], Field(min_length=1)] | None = None
    """As in a study file; None: the heads' weights, where there are several, and ``augment.strength`` where images are
    augmented."""
    trials: Annotated[Trials, Field(ge=2)] = 200
    """At most, the config as it stands among them; fewer where ``share`` does not hold them."""
    epochs: Epochs | None = None
    """Of a trial; None: half of those of a judged run."""
    share: Annotated[Float, Field(gt=0, le=1)] = 0.3
    """Of what is left of the budget, that trials are reckoned to take at most."""

    def check(self, base: Config) -> None:
        """The space goes with the base."""
        self._study(base, "study", StudySettings.model_fields["objective"].default, 0, self.trials)

    def _space(self, config: Config) -> dict[str, Any]:
        if self.space is not None:
            return {path: entry.model_dump(mode="json") for path, entry in self.space.items()}
        found: dict[str, Any] = {}
        if sum(head.weight > 0 for head in config.heads.values()) > 1:
            found["heads"] = {"kind": "head_weights", "low": 0.2, "high": 5.0}
        if config.augment.strength > 0 and config.model.backbone.freeze != "all":
            found["augment.strength"] = {"low": 0.0, "high": 1.0}
        if not found:
            raise ValueError("space: must say what to search: there is one head, and images are not augmented")
        return found

    def _study(
        self, config: Config, name: str, metric: str, seed: int, trials: int, hours: float | None = None
    ) -> Plan:
        settings = {
            "name": name,
            "base": "config.yaml",
            "objective": metric,
            "space": self._space(config),
            "budget": {"trials": trials, "hours": hours},
            "seed": seed,
        }
        return Plan(validate(StudySettings, settings), config)

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """As many seconds of trials as its share, which must hold two, and judging the best."""
        epochs = half_of_judged(lab, lab.config) if self.epochs is None else self.epochs
        trial_s = lab.costs.seconds(of_length(lab.config, epochs))
        judged_s = lab.judged_seconds(lab.config)
        trials = min(self.trials, int((self.share * left_s - START_S) / trial_s))
        search_s = START_S + trials * trial_s
        if trials < 2 or search_s + judged_s > left_s:
            least = 2 * trial_s + START_S
            raise CannotHoldError(
                f"two trials take about {time_text(least)}, which {self.share:.0%} of what is left must hold, and "
                f"judging the better {time_text(judged_s)}"
            )
        return StagePlan(search_s + judged_s, epochs, trials)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The best trial's settings."""
        from multitask.reporting.study.report_schema import StudyReport
        from multitask.study.folder import StudyFolder
        from multitask.study.study import run_study
        from multitask.utils.records import read_record

        base, settings = of_length(lab.config, plan.epochs), lab.settings
        left_s = max(lab.clock.allowed_s - lab.judged_seconds(lab.config), 1.0)
        trials = plan.trials or self.trials
        study = self._study(base, settings.name, settings.metric, settings.seed, trials, left_s / 3600)
        folder = StudyFolder(lab.folder.stage(self.name) / "search", lab.folder.reuse)
        if folder.exists() and read_yaml(folder.settings).get("base") != base.model_dump(mode="json"):
            shutil.rmtree(folder.path)  # of before, when less was kept or trials were shorter
        # One that came to its end is not searched on, though there may be seconds left now.
        done = folder.report.is_file()
        report = read_record(folder.report, StudyReport) if done else run_study(study, folder, lab.inner)
        return _proposal(report, str(folder.page.relative_to(lab.folder.path)))


def _proposal(report: StudyReport, page: str) -> Proposal:
    from multitask.reporting.recipe.report_schema import Tried

    scored = [(trial.values[0] or 0.0, trial) for trial in report.trials if trial.state == "finished" and trial.values]
    ranked = sorted(scored, key=lambda pair: (-pair[0], pair[1].number))
    tried = []
    for place, (score, trial) in enumerate(ranked[:_SHOWN]):
        name = AS_IT_STANDS if not trial.changes else f"trial {trial.number}"
        tried.append(Tried(name, trial.changes, score, picked=not place))
    changes: Changes = ranked[0][1].changes if ranked else {}
    note = (
        f"{plural(report.counts.finished, 'trial was', 'trials were')} finished, {report.counts.pruned} stopped early."
    )
    if not changes:
        note += " None was ahead of the config as it stands on the groups that pick."
    return Proposal(changes, tried, note, files={"study": page})
