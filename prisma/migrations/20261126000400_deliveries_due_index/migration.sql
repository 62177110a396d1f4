-- flatline: without transaction
-- What is due is found channel by channel since 20261126000000. The planner, which takes what is unfinished for little, read all of this index to
-- find the few deliveries of one check: everything that waited, and what was finished since the last vacuum. Nothing is found by it alone.
DROP INDEX CONCURRENTLY IF EXISTS "deliveries_due_idx";
