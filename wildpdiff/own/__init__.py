"""What adapters are worth at cameras of one's own: held-out cameras, real photographs alone, beside every simple way."""
