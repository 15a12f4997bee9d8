"""Photographs of camera traps from LILA (lila.science): which of a data set are needed, and how they come."""
