"""What monitor.py shows: one picture of the queue, on a terminal and as a web page.

picture, source     what is known, and the thread that keeps it up to date
view                where a person is: section, filters, chosen row; pure transitions on keys, and the table of keys
drawing             picture + view + size → lines, pure; its parts:
                    overview, lists, servers   the sections · details   what opens on top of them
                    rows, body, blocks, curves what these are made of
terminal            keys to the view, the drawing to the screen: the only one that knows prompt_toolkit
report              --once and --json
web/                the web page
"""
