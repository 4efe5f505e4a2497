"""Long works (长任务): imports, recomputations and reports, done beside the requests that asked for them."""
