"""What adapters are worth at cameras of one's own: real photographs alone, beside every simple way."""
