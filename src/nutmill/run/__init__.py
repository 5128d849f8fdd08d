"""Driving chains: threads, blocks of draws, interrupts and progress."""
