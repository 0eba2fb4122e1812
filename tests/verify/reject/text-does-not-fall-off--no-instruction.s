# An empty text.
.text
