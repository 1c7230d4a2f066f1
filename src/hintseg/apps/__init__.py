"""What users start: command line, studio, report, batch inference, comparison, demo."""
