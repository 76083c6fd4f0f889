"""Stands for the package `stepwell_step`, which lies two folders up, without its neighbours.

Putting the package's parent on `sys.path` would do too, but would show a step everything that is
installed beside Stepwell.
"""

import os

__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
