"""Locations never seen: every way to serve them, measured at places that nothing was chosen on."""
