"""`python tuning/tune.py MODEL ...` is `nutmill tune MODEL ...`, where the script is not on the path."""

import sys

from nutmill.cli.app import main

if __name__ == "__main__":
    main(["tune", *sys.argv[1:]])
