"""Tools to choose a region, a mask or a centre: objects, with or without a mouse."""
