"""v2: what we want frontends to use."""
