"""A bundle for others: its card, and what of it goes to the Hugging Face hub."""
