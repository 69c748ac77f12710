"""HTML of texts as PDF files. ReportLab is loaded by whoever makes one."""
