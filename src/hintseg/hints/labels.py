"""Values of label maps that are no class: a pixel without a hint is *unlabeled*, an *ignored* one takes no part."""

UNLABELED = 254
IGNORE_INDEX = 255
MAX_CLASSES = 254
