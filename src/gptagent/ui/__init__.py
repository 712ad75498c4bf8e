"""The look: tokens, components (macro, style, behaviour), layouts, assets. Knows no feature."""
