"""The mechanics under yadtq.py: one noun a file. Programs import `yadtq`, never this package."""
