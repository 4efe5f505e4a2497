"""Roll-calls and spot calls (点名, 点调): a fair draw, an answer in time, and a look at where he was last."""
