"""The search for the fastest layout: candidates, measurements, what is chosen."""
