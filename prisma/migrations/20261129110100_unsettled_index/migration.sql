-- flatline: without transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "monitors_unsettled_to_idx" ON "monitors"("unsettled_to") WHERE "unsettled_to" IS NOT NULL;
