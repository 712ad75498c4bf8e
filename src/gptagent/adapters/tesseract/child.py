"""The child process: `python -I -m gptagent.adapters.tesseract.child PROGRAM ARGUMENT...` becomes PROGRAM."""

import sys

from gptagent.features.knowledge.parsing.limits import become

if __name__ == "__main__":
    become(sys.argv[1:])
