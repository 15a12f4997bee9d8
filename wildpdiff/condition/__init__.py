"""What a place looks like, as numbers: `Condition`, one of the two seams of the project. The only door to open_clip."""
