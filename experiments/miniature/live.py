"""Losses, samples and reconstructions on a Visdom page while a stage trains, if one answers."""

import logging
import socket
from collections.abc import Callable

import numpy as np

log = logging.getLogger(__name__)


def answers(host: str, port: int) -> bool:
    """Whether anything listens there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def sheet(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures (n, h, w, 3) uint8 as one contact sheet, row by row; the rest stays white."""
    n, h, w, _ = pictures.shape
    rows = -(-n // columns)
    page = np.full((rows * columns, h, w, 3), 255, np.uint8)
    page[:n] = pictures
    return page.reshape(rows, columns, h, w, 3).swapaxes(1, 2).reshape(rows * h, columns * w, 3)


class Live:
    """A Visdom page; one warning and silence if there is none, or when it stops to answer."""

    def __init__(self, host: str, port: int, env: str) -> None:
        self.page = None
        if not answers(host, port):
            log.warning("no Visdom at %s:%d (visdom.port): training without it", host, port)
            return
        import visdom

        self.page = visdom.Visdom(
            server=f"http://{host}",
            port=port,
            env=env,
            use_incoming_socket=False,
            raise_exceptions=True,
        )

    def send(self, call: Callable[[], object]) -> None:
        """Does a call to the page; the first that fails closes it."""
        if self.page is None:
            return
        try:
            call()
        except Exception as error:  # from requests' errors to visdom's own
            log.warning("Visdom stopped to answer (%s): training goes on without it", error)
            self.page = None

    def loss(self, stage: str, step: int, value: float) -> None:
        """One point of a stage's loss curve."""
        self.send(
            lambda: self.page.line(
                [value],
                [step],
                win=f"{stage}-loss",
                update="append",
                opts={"title": f"{stage}: loss", "xlabel": "step", "ytype": "log"},
            )
        )

    def pictures(self, stage: str, pictures: np.ndarray, columns: int, caption: str) -> None:
        """A contact sheet: (n, h, w, 3) uint8."""
        page = sheet(pictures, columns).transpose(2, 0, 1)
        self.send(
            lambda: self.page.image(
                page,
                win=f"{stage}-pictures",
                opts={"title": stage, "caption": caption},
            )
        )
