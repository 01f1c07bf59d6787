"""From files on a disk to batches: index, split, imbalance, cache, augmentation, sampling."""
