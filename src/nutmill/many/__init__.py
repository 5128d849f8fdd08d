"""Many fits of one model: thousands of data sets, one compile."""
