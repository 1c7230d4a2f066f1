"""Values of label maps that are no class: a pixel without a hint is *unlabelled*, a *void* one takes no part at all."""

UNLABELLED = 254
VOID = 255
MAX_CLASSES = 254
