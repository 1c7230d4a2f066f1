"""Tools and methods that others wrote, on the same images, hints and processor seconds; `make peers` installs them."""
