"""What a picture is in memory: uint8 arrays (height, width, 3), RGB, 0..255; no torch needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
