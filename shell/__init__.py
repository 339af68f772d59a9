"""What client.py shows: one table of commands (commands.py), from which everything else comes.

A line becomes tokens (parsing), the tokens become a call of one function (arguments, commands), the function answers
with a value (answers), and the value becomes text or JSON (render). Who reads the lines, the prompt, a pipe or the
program's arguments, makes no difference to the function.
"""
