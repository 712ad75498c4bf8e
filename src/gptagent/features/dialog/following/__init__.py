"""Follow-ups: what a customer who is silent at a stage of the deal is sent, once, unless anybody writes."""
