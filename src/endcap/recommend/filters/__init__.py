"""A small safe language for filters and boosts: text to a tree to masks over the catalogue."""
