"""What happens under the hood of a compiled model: measured, and told in plain words."""
