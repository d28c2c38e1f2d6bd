"""The course's figures beside those of the libraries it is measured against."""
