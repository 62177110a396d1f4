-- flatline: without transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_channel_sent_idx" ON "deliveries"("channel_id", "finished_at") WHERE "status" = 'sent';
