"""What the machine has: processors, cores, limits of control groups and schedulers."""
