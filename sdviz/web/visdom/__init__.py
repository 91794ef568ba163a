"""Everything about Visdom: its versions, its template, and the windows of a sweep."""
