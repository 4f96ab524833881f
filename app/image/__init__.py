"""Making the image where no registry is."""
