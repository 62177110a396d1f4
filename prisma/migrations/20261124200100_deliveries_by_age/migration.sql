-- What is older than its retention is found by its age. Concurrently, because deliveries are written while this runs.
-- flatline: without transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_finished_at_idx" ON "deliveries"("finished_at");
