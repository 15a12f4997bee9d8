"""The tab Learn: lessons, guesses, stories, tours, and what is stored for them."""
