-- AlterTable
ALTER TABLE "monitors" ADD COLUMN     "severity" VARCHAR(8);

-- AlterTable
ALTER TABLE "channels" ADD COLUMN     "alerts" JSONB;

-- AlterTable
ALTER TABLE "deliveries" ADD COLUMN     "held" VARCHAR(12);

-- CreateTable
CREATE TABLE "attention" (
    "monitor_id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "acked_seq" INTEGER,
    "acked_at" TIMESTAMPTZ(3),
    "snoozed_until" TIMESTAMPTZ(3),

    CONSTRAINT "attention_pkey" PRIMARY KEY ("monitor_id")
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

-- CreateIndex
CREATE INDEX "maintenance_windows_project_id_created_at_id_idx" ON "maintenance_windows"("project_id", "created_at", "id");

-- AddForeignKey
ALTER TABLE "maintenance_windows" ADD CONSTRAINT "maintenance_windows_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- By hand: what Prisma cannot express (see test/database/schema.test.ts)

-- Alerts that were not sent for a reason that passes: to be looked at again when it may have.
CREATE INDEX "deliveries_held_idx" ON "deliveries"("next_attempt_at") WHERE "status" = 'suppressed' AND "next_attempt_at" IS NOT NULL;
UPDATE "deliveries" SET "held" = 'parent', "next_attempt_at" = now()
WHERE "status" = 'suppressed' AND "last_error" = 'the parent check is down';
DROP INDEX "deliveries_parent_down_idx";
