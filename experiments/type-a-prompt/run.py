"""Type a prompt into the page, press Run, watch: the live page, with the model kept loaded."""

from __future__ import annotations

from sdviz.commands.live.session import main

if __name__ == "__main__":
    main()
