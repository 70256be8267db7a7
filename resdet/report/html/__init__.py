"""Pages that show results in a browser: one file each, which needs no network and no server."""

from resdet.report.html.blocks import Page
from resdet.report.html.page import write_page

__all__ = ["Page", "write_page"]
