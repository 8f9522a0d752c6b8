"""The well-known Flask tutorials' way of caching, to compare with."""
