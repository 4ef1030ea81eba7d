"""Pages: assembled from charts and tables, styled and scripted from files of the package, self-contained."""

from nullgrad.surfaces.html.page import build_page

__all__ = ["build_page"]
