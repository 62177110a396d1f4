-- What is older than its retention is found by its age. Concurrently, because flips are written while this runs.
-- flatline: without transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "flips_noticed_at_idx" ON "flips"("noticed_at");
