"""Follow-ups: what a customer is sent who is silent at a stage of the deal, once, and not if anybody writes."""
