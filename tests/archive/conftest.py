"""Archives to look at, and copies to be damaged."""

from __future__ import annotations

from tests.archive.fixtures import outputs, root, whole

__all__ = ["outputs", "root", "whole"]
