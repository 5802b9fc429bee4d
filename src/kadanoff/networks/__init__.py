"""What is learned: PyTorch modules and their registry."""
