"""Foreign formats, each a small pure mapping to the words of `endcap.schema`."""
