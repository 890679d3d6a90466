"""Paper A's experiments on the public TotalSegmentator data set: `make totalsegmentator DATA=DIR`."""
