"""The vendor's Chats API: channels of somebody's own (spec: chats). It knows no OAuth, only signatures."""
