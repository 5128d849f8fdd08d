"""What compiled code tells of the draws of one scalar: moments, quantiles, precision, how chains mix."""
