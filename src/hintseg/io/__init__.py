"""Files in and out: images, label maps, atomic writing, remote storage."""
