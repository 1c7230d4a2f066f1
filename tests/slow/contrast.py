"""[SPML] eq. 3, pixel by pixel."""

import math


def pixel_loss(pixel, own, label, prototypes, labels, concentration, group=None, groups=None):
    def shares(a, b):
        return bool((a & b).any()) if hasattr(a, "ndim") and a.ndim else bool(a == b)

    positive, negative = 0.0, 0.0
    for index in range(len(prototypes)):
        if groups is not None and groups[index] != group:
            continue
        weight = math.exp(concentration * float(pixel @ prototypes[index]))
        if shares(label, labels[index]):
            positive += weight if index != own else 0.0
        else:
            negative += weight
    if positive == 0.0:
        positive = math.exp(concentration * float(pixel @ prototypes[own]))
    return -math.log(positive / (positive + negative))
