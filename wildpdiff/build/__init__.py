"""From a recipe to a bundle: stages that write files, skip what is there and resume what was killed."""
