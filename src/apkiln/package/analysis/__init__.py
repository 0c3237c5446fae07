"""What the files of a package say: facts gathered while each is read once, dependencies and findings concluded from them."""
