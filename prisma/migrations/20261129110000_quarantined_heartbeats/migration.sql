-- CreateTable
CREATE TABLE "quarantined_heartbeats" (
    "id" UUID NOT NULL,
    "quarantined_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "received_at" TIMESTAMPTZ(3),
    "project_id" UUID,
    "monitor_id" UUID,
    "code" VARCHAR(8) NOT NULL,
    "rule" VARCHAR(200) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 1,
    "next_attempt_at" TIMESTAMPTZ(3),
    "payload" BYTEA NOT NULL,

    CONSTRAINT "quarantined_heartbeats_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "quarantined_heartbeats_quarantined_at_id_idx" ON "quarantined_heartbeats"("quarantined_at", "id");
