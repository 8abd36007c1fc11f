"""Output: reports and events as lines for people and as JSON data for programs.

The module of a command has its name. `lines` yields its report as signs and texts, `document`
returns it as JSON data. Imports stay light: rich is loaded only to draw a progress bar.
"""
