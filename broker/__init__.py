"""What the messages say: ids, kinds, topics, signed models, audience policy and the rules rendered from them."""
