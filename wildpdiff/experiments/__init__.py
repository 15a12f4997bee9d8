"""Recipes, and the experiments that they make possible."""
