"""What is said first: the verdict, five numbers and a remedy; and the document of the page."""

from .remedies import Remedy as Remedy
from .remedies import remedies as remedies
from .report import Figure as Figure
from .report import Report as Report
from .report import report as report
