"""One stream of events, several sinks, and what happens when one of them fails.

The archive is the truth: when it fails, the sweep stops. Every other sink is a view: when it fails,
it is warned of once and left out, and the sweep goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sdviz.errors import SdvizError
from sdviz.events import Event
from sdviz.sinks import Sink

log = logging.getLogger(__name__)


class Fanout:
    """Gives each event to `truth` first, then to the views, in order. Itself a Sink."""

    def __init__(self, truth: Sink, views: Sequence[Sink] = ()) -> None:
        self._truth = truth
        self._views = list(views)

    def handle(self, event: Event) -> None:
        self._truth.handle(event)
        for view in list(self._views):
            try:
                view.handle(event)
            except Exception as error:  # the policy above: no view may end a sweep
                self._views.remove(view)
                _warn(view, error)
                _close(view)

    def close(self) -> None:
        """Closes every sink, the views first; the truth's failure is raised, at the end."""
        views, self._views = self._views, []
        try:
            for view in views:
                _close(view)
        finally:
            self._truth.close()


def _close(view: Sink) -> None:
    try:
        view.close()
    except Exception as error:
        _warn(view, error)


def _warn(view: Sink, error: Exception) -> None:
    reason = str(error) if isinstance(error, SdvizError) else f"{type(error).__name__}: {error}"
    log.warning("%s failed and is left out from here on: %s", type(view).__name__, reason)
    log.debug("the failure in full", exc_info=error)
