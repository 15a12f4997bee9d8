"""The classifier and which of its parameters a row stands for: layout, subsets, LoRA, PEFT folders."""
