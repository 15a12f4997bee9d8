"""How everything but the generator is trained: classifier, CLIP, adapters at one place, at many, between two."""
