-- Settings of a check that are absent until set, the runs that are open beside the latest, and the ids that slugs have been given.
-- Several lines of work meet in this table, hence IF NOT EXISTS.
ALTER TABLE "monitors" ADD COLUMN IF NOT EXISTS "track_runs" BOOLEAN,
ADD COLUMN IF NOT EXISTS "max_pings_per_minute" INTEGER,
ADD COLUMN IF NOT EXISTS "open_runs" JSONB;

-- CreateTable
CREATE TABLE "provisioned_monitors" (
    "id" UUID NOT NULL,

    CONSTRAINT "provisioned_monitors_pkey" PRIMARY KEY ("id")
);
