-- flatline: without transaction
-- The one that knows the order of the flips, too, has taken its place.
DROP INDEX CONCURRENTLY IF EXISTS "flips_outbox_idx";
