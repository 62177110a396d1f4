-- flatline: without transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_channel_error_idx" ON "deliveries"("channel_id", "created_at") WHERE "status" IN ('retrying', 'dead');
