"""The archive: every picture, frame and timing of a sweep in one folder. No torch, no Visdom."""
