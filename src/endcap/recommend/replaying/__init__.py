"""Past slates made again, bit for bit: what was asked of the world is kept with each answer."""
