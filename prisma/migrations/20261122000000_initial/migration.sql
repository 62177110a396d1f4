-- CreateTable
CREATE TABLE "projects" (
    "id" UUID NOT NULL,
    "name" VARCHAR(200) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "projects_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project_keys" (
    "project_id" UUID NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "project_keys_pkey" PRIMARY KEY ("project_id","kind")
);

-- CreateTable
CREATE TABLE "monitors" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "name" VARCHAR(100) NOT NULL,
    "slug" VARCHAR(100) NOT NULL,
    "tags" VARCHAR(500) NOT NULL,
    "desc" TEXT NOT NULL,
    "badge_key" UUID NOT NULL,
    "kind" VARCHAR(10) NOT NULL,
    "timeout_s" INTEGER NOT NULL,
    "grace_s" INTEGER NOT NULL,
    "schedule" VARCHAR(100) NOT NULL,
    "tz" VARCHAR(36) NOT NULL,
    "max_runtime_s" INTEGER,
    "min_runtime_s" INTEGER,
    "failure_threshold" INTEGER,
    "recovery_threshold" INTEGER,
    "early_tolerance_s" INTEGER,
    "paused_until" TIMESTAMPTZ(3),
    "methods" VARCHAR(10) NOT NULL,
    "manual_resume" BOOLEAN NOT NULL,
    "filter_subject" BOOLEAN NOT NULL,
    "filter_body" BOOLEAN NOT NULL,
    "filter_http_body" BOOLEAN NOT NULL,
    "filter_default_fail" BOOLEAN NOT NULL,
    "start_kw" VARCHAR(200) NOT NULL,
    "success_kw" VARCHAR(200) NOT NULL,
    "failure_kw" VARCHAR(200) NOT NULL,
    "status" VARCHAR(6) NOT NULL,
    "n" BIGINT NOT NULL DEFAULT 0,
    "flip_seq" INTEGER NOT NULL DEFAULT 0,
    "last_ping" TIMESTAMPTZ(3),
    "last_start" TIMESTAMPTZ(3),
    "last_start_rid" UUID,
    "last_duration_ms" BIGINT,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "successes" INTEGER NOT NULL DEFAULT 0,
    "missed" INTEGER NOT NULL DEFAULT 0,
    "deadline" TIMESTAMPTZ(3),
    "look_at" TIMESTAMPTZ(3),

    CONSTRAINT "monitors_pkey" PRIMARY KEY ("id")
) WITH (fillfactor = 70);

-- CreateTable
CREATE TABLE "heartbeats" (
    "monitor_id" UUID NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL,
    "id" UUID NOT NULL,
    "n" BIGINT NOT NULL,
    "kind" VARCHAR(7) NOT NULL,
    "exit_status" INTEGER,
    "rid" UUID,
    "duration_ms" BIGINT,
    "scheme" VARCHAR(10) NOT NULL,
    "method" VARCHAR(10) NOT NULL,
    "remote_addr" VARCHAR(45) NOT NULL,
    "ua" VARCHAR(200) NOT NULL,
    "body_size" INTEGER NOT NULL,

    CONSTRAINT "heartbeats_pkey" PRIMARY KEY ("monitor_id","received_at","id")
) PARTITION BY RANGE ("received_at");

-- CreateTable
CREATE TABLE "heartbeat_bodies" (
    "monitor_id" UUID NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL,
    "id" UUID NOT NULL,
    "body" BYTEA NOT NULL,

    CONSTRAINT "heartbeat_bodies_pkey" PRIMARY KEY ("monitor_id","received_at","id")
) PARTITION BY RANGE ("received_at");

-- CreateTable
CREATE TABLE "acceptance" (
    "id" INTEGER NOT NULL,
    "previous_at" TIMESTAMPTZ(3) NOT NULL,
    "until_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "acceptance_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "blind_windows" (
    "from_at" TIMESTAMPTZ(3) NOT NULL,
    "to_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "blind_windows_pkey" PRIMARY KEY ("from_at")
);

-- CreateTable
CREATE TABLE "flips" (
    "monitor_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "project_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "from" VARCHAR(6) NOT NULL,
    "to" VARCHAR(6) NOT NULL,
    "reason" VARCHAR(16) NOT NULL,
    "noticed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "processed_at" TIMESTAMPTZ(3),
    "blind_from" TIMESTAMPTZ(3),
    "blind_to" TIMESTAMPTZ(3),

    CONSTRAINT "flips_pkey" PRIMARY KEY ("monitor_id","seq")
);

-- CreateTable
CREATE TABLE "channels" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "kind" VARCHAR(20) NOT NULL,
    "name" VARCHAR(100) NOT NULL,
    "settings" BYTEA NOT NULL,
    "disabled_at" TIMESTAMPTZ(3),
    "disabled_reason" VARCHAR(200),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "channels_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "monitor_channels" (
    "monitor_id" UUID NOT NULL,
    "channel_id" UUID NOT NULL,

    CONSTRAINT "monitor_channels_pkey" PRIMARY KEY ("monitor_id","channel_id")
);

-- CreateTable
CREATE TABLE "deliveries" (
    "monitor_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "channel_id" UUID NOT NULL,
    "flip_seq" INTEGER NOT NULL,
    "event" VARCHAR(8) NOT NULL,
    "status" VARCHAR(10) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMPTZ(3),
    "last_error" VARCHAR(500),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("monitor_id","id")
);

-- CreateTable
CREATE TABLE "health_metrics" (
    "id" BIGSERIAL NOT NULL,
    "timestamp" TIMESTAMPTZ(3) NOT NULL,
    "metric_name" VARCHAR(100) NOT NULL,
    "metric_value" DOUBLE PRECISION NOT NULL,
    "tags" JSONB,

    CONSTRAINT "health_metrics_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "project_id" UUID,
    "actor" VARCHAR(100) NOT NULL,
    "action" VARCHAR(50) NOT NULL,
    "target" VARCHAR(200) NOT NULL,
    "detail" JSONB,
    "request_id" VARCHAR(64),

    CONSTRAINT "audit_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "schema_compatibility" (
    "id" INTEGER NOT NULL,
    "min_compatible" VARCHAR(255) NOT NULL,

    CONSTRAINT "schema_compatibility_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "project_keys_hash_key" ON "project_keys"("hash");

-- CreateIndex
CREATE INDEX "monitors_project_id_created_at_id_idx" ON "monitors"("project_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "channels_project_id_created_at_id_idx" ON "channels"("project_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "monitor_channels_channel_id_idx" ON "monitor_channels"("channel_id");

-- CreateIndex
CREATE INDEX "deliveries_project_id_created_at_id_idx" ON "deliveries"("project_id", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "deliveries_monitor_id_flip_seq_channel_id_event_key" ON "deliveries"("monitor_id", "flip_seq", "channel_id", "event");

-- CreateIndex
CREATE INDEX "health_metrics_metric_name_timestamp_idx" ON "health_metrics"("metric_name", "timestamp");

-- CreateIndex
CREATE INDEX "audit_project_id_id_idx" ON "audit"("project_id", "id");

-- AddForeignKey
ALTER TABLE "project_keys" ADD CONSTRAINT "project_keys_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "monitors" ADD CONSTRAINT "monitors_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "channels" ADD CONSTRAINT "channels_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "monitor_channels" ADD CONSTRAINT "monitor_channels_monitor_id_fkey" FOREIGN KEY ("monitor_id") REFERENCES "monitors"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "monitor_channels" ADD CONSTRAINT "monitor_channels_channel_id_fkey" FOREIGN KEY ("channel_id") REFERENCES "channels"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- By hand: what Prisma cannot express (see test/database/schema.test.ts)

-- The detector's queue. A steady heartbeat moves deadline only, which no index covers.
CREATE INDEX "monitors_look_at_idx" ON "monitors"("look_at") WHERE "look_at" IS NOT NULL;

-- The outbox of alerting: flips nobody has turned into deliveries yet.
CREATE INDEX "flips_outbox_idx" ON "flips"("monitor_id") WHERE "processed_at" IS NULL;

-- Deliveries still to be made, by when, and in order per monitor and channel.
CREATE INDEX "deliveries_due_idx" ON "deliveries"("next_attempt_at") WHERE "status" IN ('pending', 'retrying');
CREATE INDEX "deliveries_order_idx" ON "deliveries"("monitor_id", "channel_id", "flip_seq") WHERE "status" IN ('pending', 'retrying');

INSERT INTO "schema_compatibility" ("id", "min_compatible") VALUES (1, '20261122000000_initial');
