"""What monitor.py shows: one picture of the queue, on a terminal and as a web page.

picture, source     what is known, and the thread that keeps it up to date
view                where a person is: section, filter, cursor; pure transitions on keys
drawing             picture + view + size → styled lines; pure (blocks, curves, rows and sections are its parts)
terminal            the only one that knows prompt_toolkit
report              --once and --json
web/                the web page
"""
