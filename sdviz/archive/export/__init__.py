"""What an archive is turned into: sheets, films, tables, comparisons."""
