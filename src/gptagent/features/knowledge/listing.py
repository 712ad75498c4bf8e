"""What a list of the knowledge base shows, as its address says it."""

from gptagent.ui.listing import SIZE, SIZE_OPTIONS, SIZES, Listing, id_of, ids_of

__all__ = ["SIZE", "SIZES", "SIZE_OPTIONS", "Listing", "id_of", "ids_of"]
