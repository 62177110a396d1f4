-- What senders call their heartbeats, so that an upload which is tried again counts once. Kept for three days.
CREATE TABLE "heartbeat_keys" (
    "monitor_id" UUID NOT NULL,
    "key" VARCHAR(100) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "heartbeat_keys_pkey" PRIMARY KEY ("monitor_id","key")
);

CREATE INDEX "heartbeat_keys_recorded_at_idx" ON "heartbeat_keys"("recorded_at");
