"""A search result as one HTML file that needs nothing else."""

from .report import report_html, write_report

__all__ = ["report_html", "write_report"]
