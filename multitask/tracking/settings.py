"""The ``tracking`` section: which trackers a run tells its scores to."""

from __future__ import annotations

from abc import abstractmethod
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar

from multitask.errors import UserError
from multitask.settings import Settings, Table

if TYPE_CHECKING:
    from multitask.tracking.tracker import TrackedRun, Tracker


class TrackerSettings(Settings):
    """The settings of a tracker, which open it for a run.

    >>> TRACKERS["csv"]().require()
    """

    name: str
    extra: ClassVar[str] = ""
    """The optional dependency of this package that brings the tracker's library; empty: it needs none."""
    modules: ClassVar[tuple[str, ...]] = ()
    """What must be importable."""

    @abstractmethod
    def open(self, run: TrackedRun) -> Tracker:
        """The tracker of a run that begins, or goes on.

        Whatever it raises, here or later, is told in one line, and the run goes on without it. It must not wait for
        longer than some seconds.
        """

    def require(self) -> None:
        """Refuses a tracker that is not installed.

        Raises:
            UserError: it is not.
        """
        for module in self.modules:
            if find_spec(module) is None:
                raise UserError(
                    f"tracking: {self.name} needs {module}, which is not installed; "
                    f"`pip install 'multitask[{self.extra}]'` brings it"
                )


TRACKERS: Table[TrackerSettings] = Table("tracker", TrackerSettings, default="csv")
"""The table of trackers; its rows stand in the package's ``__init__``."""
AnyTracker = Annotated[TrackerSettings, TRACKERS]
"""The type of an item of ``tracking``."""
