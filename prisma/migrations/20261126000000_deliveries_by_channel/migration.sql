-- flatline: without transaction
-- What is due is looked for channel by channel: one with a thousand that wait costs no more than one with a few. All of these have a next
-- attempt; saying so keeps the index from statements that look for one check's deliveries and would read the whole backlog of the channel.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_channel_due_idx" ON "deliveries"("channel_id", "next_attempt_at") WHERE "status" IN ('pending', 'retrying') AND "next_attempt_at" IS NOT NULL;
