-- CreateTable
CREATE TABLE "projects" (
    "id" UUID NOT NULL,
    "name" VARCHAR(200) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "badge_key" VARCHAR(150) NOT NULL DEFAULT gen_random_uuid(),
    "quota" JSONB,
    "badge_secret" BYTEA NOT NULL DEFAULT uuid_send(gen_random_uuid()),

    CONSTRAINT "projects_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project_keys" (
    "project_id" UUID NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "hash" BYTEA NOT NULL,
    "mailbox_hash" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "project_keys_pkey" PRIMARY KEY ("project_id","kind")
);

-- CreateTable
CREATE TABLE "provisioning_counts" (
    "project_id" UUID NOT NULL,
    "hour_at" TIMESTAMPTZ(3) NOT NULL,
    "created" INTEGER NOT NULL,

    CONSTRAINT "provisioning_counts_pkey" PRIMARY KEY ("project_id")
);

-- CreateTable
CREATE TABLE "checks" (
    "id" UUID NOT NULL,
    "unique_key" VARCHAR(40),
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
    "parent_id" UUID,
    "paused_until" TIMESTAMPTZ(3),
    "track_runs" BOOLEAN,
    "max_pings_per_minute" INTEGER,
    "severity" VARCHAR(8),
    "remind_every_s" INTEGER,
    "push_token" VARCHAR(64),
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
    "open_runs" JSONB,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "successes" INTEGER NOT NULL DEFAULT 0,
    "missed" INTEGER NOT NULL DEFAULT 0,
    "deadline" TIMESTAMPTZ(3),
    "look_at" TIMESTAMPTZ(3),
    "unsettled_from" TIMESTAMPTZ(3),
    "unsettled_to" TIMESTAMPTZ(3),
    "body_bytes" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "checks_pkey" PRIMARY KEY ("id")
) WITH (fillfactor = 70);

-- CreateTable
CREATE TABLE "provisioning_namespace" (
    "id" INTEGER NOT NULL,
    "namespace" UUID NOT NULL,

    CONSTRAINT "provisioning_namespace_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "provisioned_checks" (
    "id" UUID NOT NULL,

    CONSTRAINT "provisioned_checks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "retired_addresses" (
    "kind" VARCHAR(13) NOT NULL,
    "value" BYTEA NOT NULL,
    "project_id" UUID NOT NULL,
    "retired_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "retired_addresses_pkey" PRIMARY KEY ("kind","value")
);

-- CreateTable
CREATE TABLE "heartbeats" (
    "check_id" UUID NOT NULL,
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

    CONSTRAINT "heartbeats_pkey" PRIMARY KEY ("check_id","received_at","id")
) PARTITION BY RANGE ("received_at");

-- CreateTable
CREATE TABLE "heartbeat_bodies" (
    "check_id" UUID NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL,
    "id" UUID NOT NULL,
    "body" BYTEA NOT NULL,

    CONSTRAINT "heartbeat_bodies_pkey" PRIMARY KEY ("check_id","received_at","id")
) PARTITION BY RANGE ("received_at");

-- CreateTable
CREATE TABLE "body_usage" (
    "project_id" UUID NOT NULL,
    "day" DATE NOT NULL,
    "bytes" BIGINT NOT NULL,

    CONSTRAINT "body_usage_pkey" PRIMARY KEY ("project_id","day")
);

-- CreateTable
CREATE TABLE "heartbeat_keys" (
    "check_id" UUID NOT NULL,
    "key" VARCHAR(100) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "heartbeat_keys_pkey" PRIMARY KEY ("check_id","key")
);

-- CreateTable
CREATE TABLE "quarantined_heartbeats" (
    "id" UUID NOT NULL,
    "quarantined_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "received_at" TIMESTAMPTZ(3),
    "project_id" UUID,
    "check_id" UUID,
    "code" VARCHAR(8) NOT NULL,
    "rule" VARCHAR(200) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 1,
    "next_attempt_at" TIMESTAMPTZ(3),
    "payload" BYTEA NOT NULL,

    CONSTRAINT "quarantined_heartbeats_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "acceptance" (
    "id" INTEGER NOT NULL,
    "previous_at" TIMESTAMPTZ(3) NOT NULL,
    "until_at" TIMESTAMPTZ(3) NOT NULL,
    "outage_from" TIMESTAMPTZ(3),
    "outage_to" TIMESTAMPTZ(3),

    CONSTRAINT "acceptance_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "replicas" (
    "id" UUID NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL,
    "spools" BOOLEAN NOT NULL,
    "can_spool" BOOLEAN NOT NULL DEFAULT true,
    "heard_through" TIMESTAMPTZ(3),
    "name" VARCHAR(100),
    "address" VARCHAR(200),
    "token_hash" VARCHAR(64),

    CONSTRAINT "replicas_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "blind_windows" (
    "from_at" TIMESTAMPTZ(3) NOT NULL,
    "to_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "blind_windows_pkey" PRIMARY KEY ("from_at")
);

-- CreateTable
CREATE TABLE "flips" (
    "check_id" UUID NOT NULL,
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
    "request_id" VARCHAR(64),
    "unheard_replica" VARCHAR(100),
    "unheard_from" TIMESTAMPTZ(3),

    CONSTRAINT "flips_pkey" PRIMARY KEY ("check_id","seq")
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
    "alerts" JSONB,
    "pace_left" DOUBLE PRECISION,
    "pace_at" TIMESTAMPTZ(3),
    "retry_after_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "recipient_confirmed" BOOLEAN NOT NULL DEFAULT true,

    CONSTRAINT "channels_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "mail_recipients" (
    "address_hash" BYTEA NOT NULL,
    "project_id" UUID NOT NULL,
    "asked_at" TIMESTAMPTZ(3) NOT NULL,
    "confirmed_at" TIMESTAMPTZ(3),

    CONSTRAINT "mail_recipients_pkey" PRIMARY KEY ("address_hash")
);

-- CreateTable
CREATE TABLE "mail_allowances" (
    "project_id" UUID NOT NULL,
    "mails_left" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "mail_allowances_pkey" PRIMARY KEY ("project_id")
);

-- CreateTable
CREATE TABLE "check_channels" (
    "check_id" UUID NOT NULL,
    "channel_id" UUID NOT NULL,

    CONSTRAINT "check_channels_pkey" PRIMARY KEY ("check_id","channel_id")
);

-- CreateTable
CREATE TABLE "deliveries" (
    "subject_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "subject_kind" VARCHAR(8) NOT NULL DEFAULT 'check',
    "project_id" UUID NOT NULL,
    "channel_id" UUID NOT NULL,
    "flip_seq" INTEGER NOT NULL,
    "kind" VARCHAR(10) NOT NULL,
    "ordinal" INTEGER NOT NULL DEFAULT 0,
    "status" VARCHAR(10) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMPTZ(3),
    "suppression" VARCHAR(16),
    "detail" VARCHAR(500),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMPTZ(3),
    "lease_until" TIMESTAMPTZ(3),
    "resent_at" TIMESTAMPTZ(3),
    "group_id" UUID,
    "notice" JSONB,

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("subject_id","id")
);

-- CreateTable
CREATE TABLE "acknowledgements" (
    "check_id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "acked_seq" INTEGER,
    "acked_at" TIMESTAMPTZ(3),
    "snoozed_until" TIMESTAMPTZ(3),

    CONSTRAINT "acknowledgements_pkey" PRIMARY KEY ("check_id")
);

-- CreateTable
CREATE TABLE "maintenance_windows" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "name" VARCHAR(100) NOT NULL,
    "from_at" TIMESTAMPTZ(3),
    "to_at" TIMESTAMPTZ(3),
    "cron" VARCHAR(100),
    "duration_s" INTEGER,
    "tz" VARCHAR(36),
    "tags" TEXT[],
    "checks" UUID[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "maintenance_windows_pkey" PRIMARY KEY ("id")
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
    "address" VARCHAR(45),

    CONSTRAINT "audit_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "service_alerts" (
    "id" SERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "node" VARCHAR(100) NOT NULL,
    "rule" VARCHAR(30) NOT NULL,
    "level" VARCHAR(8) NOT NULL,
    "text" VARCHAR(500) NOT NULL,

    CONSTRAINT "service_alerts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "schema_compatibility" (
    "id" INTEGER NOT NULL,
    "min_compatible" VARCHAR(255) NOT NULL,

    CONSTRAINT "schema_compatibility_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "projects_badge_key_key" ON "projects"("badge_key");

-- CreateIndex
CREATE UNIQUE INDEX "project_keys_hash_key" ON "project_keys"("hash");

-- CreateIndex
CREATE INDEX "project_keys_mailbox_hash_idx" ON "project_keys"("mailbox_hash");

-- CreateIndex
CREATE UNIQUE INDEX "checks_push_token_key" ON "checks"("push_token");

-- CreateIndex
CREATE INDEX "checks_project_id_created_at_id_idx" ON "checks"("project_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "checks_project_id_slug_idx" ON "checks"("project_id", "slug");

-- CreateIndex
CREATE INDEX "checks_project_id_unique_key_idx" ON "checks"("project_id", "unique_key");

-- CreateIndex
CREATE INDEX "checks_badge_key_idx" ON "checks"("badge_key");

-- CreateIndex
CREATE INDEX "heartbeat_keys_recorded_at_idx" ON "heartbeat_keys"("recorded_at");

-- CreateIndex
CREATE INDEX "quarantined_heartbeats_quarantined_at_id_idx" ON "quarantined_heartbeats"("quarantined_at", "id");

-- CreateIndex
CREATE INDEX "flips_noticed_at_idx" ON "flips"("noticed_at");

-- CreateIndex
CREATE INDEX "channels_project_id_created_at_id_idx" ON "channels"("project_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "mail_recipients_project_id_asked_at_idx" ON "mail_recipients"("project_id", "asked_at");

-- CreateIndex
CREATE INDEX "check_channels_channel_id_idx" ON "check_channels"("channel_id");

-- CreateIndex
CREATE INDEX "deliveries_id_idx" ON "deliveries"("id");

-- CreateIndex
CREATE INDEX "deliveries_project_id_created_at_id_idx" ON "deliveries"("project_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "deliveries_finished_at_idx" ON "deliveries"("finished_at");

-- CreateIndex
CREATE UNIQUE INDEX "deliveries_subject_id_flip_seq_channel_id_kind_ordinal_key" ON "deliveries"("subject_id", "flip_seq", "channel_id", "kind", "ordinal");

-- CreateIndex
CREATE INDEX "maintenance_windows_project_id_created_at_id_idx" ON "maintenance_windows"("project_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "health_metrics_metric_name_timestamp_idx" ON "health_metrics"("metric_name", "timestamp");

-- CreateIndex
CREATE INDEX "audit_project_id_id_idx" ON "audit"("project_id", "id");

-- CreateIndex
CREATE INDEX "audit_at_idx" ON "audit"("at");

-- AddForeignKey
ALTER TABLE "project_keys" ADD CONSTRAINT "project_keys_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "provisioning_counts" ADD CONSTRAINT "provisioning_counts_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "checks" ADD CONSTRAINT "checks_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "channels" ADD CONSTRAINT "channels_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "mail_recipients" ADD CONSTRAINT "mail_recipients_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "mail_allowances" ADD CONSTRAINT "mail_allowances_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "check_channels" ADD CONSTRAINT "check_channels_check_id_fkey" FOREIGN KEY ("check_id") REFERENCES "checks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "check_channels" ADD CONSTRAINT "check_channels_channel_id_fkey" FOREIGN KEY ("channel_id") REFERENCES "channels"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "maintenance_windows" ADD CONSTRAINT "maintenance_windows_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- By hand: what Prisma cannot express (see test/database/schema.test.ts)

-- The detector's queue. A steady heartbeat moves deadline only, which no index covers.
CREATE INDEX "checks_look_at_idx" ON "checks"("look_at") WHERE "look_at" IS NOT NULL;

-- The checks whose latest history is to be judged again.
CREATE INDEX "checks_unsettled_to_idx" ON "checks"("unsettled_to") WHERE "unsettled_to" IS NOT NULL;

-- The children of a check, of which most have none.
CREATE INDEX "checks_parent_id_idx" ON "checks"("parent_id") WHERE "parent_id" IS NOT NULL;

-- The outbox of alerting takes the oldest flips of a check first, of which there may be thousands.
CREATE INDEX "flips_outbox_order_idx" ON "flips"("check_id", "seq") WHERE "processed_at" IS NULL;

-- Deliveries still to be made, in order per check and channel.
CREATE INDEX "deliveries_order_idx" ON "deliveries"("subject_id", "channel_id", "flip_seq") WHERE "status" IN ('pending', 'retrying');

-- What is due is found channel by channel: one with a thousand that wait costs no more than one with a few. All of these have a next
-- attempt; saying so keeps the index from statements that search for one check's deliveries and would read the whole backlog of the channel.
CREATE INDEX "deliveries_channel_due_idx" ON "deliveries"("channel_id", "next_attempt_at") WHERE "status" IN ('pending', 'retrying') AND "next_attempt_at" IS NOT NULL;

-- Alerts that were not sent for a reason that passes: they are examined again when it may have passed.
CREATE INDEX "deliveries_suppressed_idx" ON "deliveries"("next_attempt_at") WHERE "status" = 'suppressed' AND "next_attempt_at" IS NOT NULL;

-- Alerts that go out in one message.
CREATE INDEX "deliveries_group_idx" ON "deliveries"("group_id") WHERE "group_id" IS NOT NULL;

-- What a channel sent last, and what failed last.
CREATE INDEX "deliveries_channel_sent_idx" ON "deliveries"("channel_id", "finished_at") WHERE "status" = 'sent';
CREATE INDEX "deliveries_channel_error_idx" ON "deliveries"("channel_id", "created_at") WHERE "status" IN ('retrying', 'dead');

-- Words that the code knows. Not of heartbeats, which are written most and read by their owners alone.
ALTER TABLE "project_keys" ADD CONSTRAINT "project_keys_kind_check" CHECK ("kind" IN ('api_key', 'api_key_readonly', 'ping_key'));
ALTER TABLE "retired_addresses" ADD CONSTRAINT "retired_addresses_kind_check" CHECK ("kind" IN ('check', 'check_badge', 'project_badge', 'ping_key', 'push_token'));
ALTER TABLE "checks" ADD CONSTRAINT "checks_kind_check" CHECK ("kind" IN ('simple', 'cron', 'oncalendar'));
ALTER TABLE "checks" ADD CONSTRAINT "checks_status_check" CHECK ("status" IN ('new', 'up', 'down', 'paused'));
ALTER TABLE "flips" ADD CONSTRAINT "flips_from_check" CHECK ("from" IN ('new', 'up', 'down', 'paused'));
ALTER TABLE "flips" ADD CONSTRAINT "flips_to_check" CHECK ("to" IN ('new', 'up', 'down', 'paused'));
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_status_check" CHECK ("status" IN ('pending', 'retrying', 'sent', 'dead', 'suppressed'));
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_subject_kind_check" CHECK ("subject_kind" IN ('check', 'channel', 'service'));
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_kind_check" CHECK ("kind" IN ('down', 'up', 'reminder', 'escalation', 'notice', 'confirm'));
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_suppression_check" CHECK ("suppression" IN ('parent', 'maintenance', 'snooze', 'flapping', 'quiet_hours', 'unwanted', 'outage_unsent', 'recovered', 'acknowledged', 'coalesced', 'channel_off', 'channel_deleted', 'check_deleted', 'project_deleted', 'flip_deleted', 'unconfirmed', 'settings'));
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_suppressed_check" CHECK (("status" = 'suppressed') = ("suppression" IS NOT NULL));
ALTER TABLE "service_alerts" ADD CONSTRAINT "service_alerts_level_check" CHECK ("level" IN ('INFO', 'WARNING', 'CRITICAL', 'RESOLVED'));

-- Rows that the service expects: the namespace of provisioned checks, and the oldest code that may run on this database.
INSERT INTO "provisioning_namespace" ("id", "namespace") VALUES (1, gen_random_uuid());
INSERT INTO "schema_compatibility" ("id", "min_compatible") VALUES (1, '20261129180000_initial');
