"""Speed beside dense PyTorch, measured in one run; needs the ``bench`` extra."""
