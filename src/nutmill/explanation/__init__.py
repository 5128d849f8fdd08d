"""What happens under the hood of a compiled model: measured, and explained in plain words."""
