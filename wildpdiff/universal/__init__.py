"""Generator U: adapters for places that nobody fine-tuned at, learned through the classifier's own loss."""
