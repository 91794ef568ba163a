"""Writing an archive: rows, pictures and files, so that a kill loses nothing that is finished."""
