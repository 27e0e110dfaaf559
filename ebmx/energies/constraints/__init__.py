"""Examples with fixed parts, on domains, or in trees, as vectors without bounds."""
