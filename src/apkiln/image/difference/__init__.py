"""What two images, or two locks, have that is not the same: packages, files, configuration."""
