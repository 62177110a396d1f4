-- flatline: without transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_id_idx" ON "deliveries"("id");
