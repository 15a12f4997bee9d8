"""p-diff (Neural Network Diffusion): its ablations, measured on our world."""
