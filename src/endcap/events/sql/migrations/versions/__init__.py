"""One file for each step of the schema; never edited once released."""
