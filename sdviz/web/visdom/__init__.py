"""Visdom's own parts: its versions, its template, and the windows of a sweep."""
