"""The web page of monitor.py.

program      serve(): listens, runs, ends
application  the routes
doorkeeper   which names are served, and the headers of every answer
sessions     who has shown the token
actions      log in, retry, reset: only with a token
views        what each page knows: picture and records → the values of a template
readings     those values, read once for all who look at the same page
live         the stream of what has changed
rendering    templates, in which every value is escaped and made visible
curves       numbers → the geometry of a drawing
"""
