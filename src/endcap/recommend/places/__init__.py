"""Places of a shop beyond a blend of models: the shopper's past, needs that are met, groups."""
