"""Reading documents: the converters, and the process of their own that they run in."""
