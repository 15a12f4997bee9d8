"""What a bundle is measured by: accuracy and fidelity by location, and speed."""
